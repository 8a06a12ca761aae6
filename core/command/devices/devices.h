/* SPDX-License-Identifier: MIT */
/* devices.h: what `crayon devices` and `crayon bench` say of a device. */
#ifndef CR_COMMAND_DEVICES_H
#define CR_COMMAND_DEVICES_H

#include "command/command.h"

/* Append "key":number to a JSON object; null where the number is not finite. */
void add_number(struct cr_text *json, const char *key, double number);

/* The members of a device's JSON object, without the braces. */
void device_add_json(struct cr_text *json, const struct cr_device_info *info);

/* "avx512, vnni; 2 threads" */
void device_describe(struct cr_text *text, const struct cr_device_info *info);

/* Run the self-test of every operation on the device of this name and print the outcome; or, with
 * `json`, append the members "ok" and "operations". EXIT_OK, or the exit code. */
int device_check(const struct cr_registry *registry, const char *name, struct cr_text *json);

#endif
