/* SPDX-License-Identifier: MIT */
/* case.h: a case as the files of this room share it. */
#ifndef CR_VERIFY_CASE_H
#define CR_VERIFY_CASE_H

#include <crayon/device.h>
#include <crayon/model.h>
#include <crayon/value.h>

#include "base/arena.h"
#include "base/json.h"
#include "verify/verify.h"

#define CR_VERIFY_DEVICES 16

struct cr_verify {
    struct cr_verify_params params;
    struct verify_device *devices;
};

/* A device that was asked for, open or with the reason why not. */
struct verify_device {
    const char *asked;
    char name[64];
    struct cr_device *device; /* NULL: there is none */
    char *reason;
    struct verify_device *next;
};

struct verify_case {
    struct cr_verify *verify;
    const char *path;  /* of the file */
    char *folder;      /* where its paths start */
    cJSON *json;       /* the file */
    const char *asked; /* the device that the user asked for */
    struct cr_verified *result;
    struct verify_file *files;
    const struct verify_device *used[CR_VERIFY_DEVICES]; /* by this case */
    size_t used_count;
    bool is_partial; /* stages were taken out because their plugins are absent */
    bool no_memory, cancelled;
};

/* A place in the case file: the steps of a JSON pointer, up to the first NULL. */
struct verify_place {
    const char *steps[5];
};
#define VERIFY_PLACE(...)                                                                          \
    (struct verify_place)                                                                          \
    {                                                                                              \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

/* ---- case.c ---- */

/* Something is wrong with the case: it fails. */
void verify_problem(struct verify_case *c, struct verify_place place, const char *format, ...)
    CR_PRINTF(3, 4);
/* The same for a failure whose message names its file, or a place; a lack of memory is remembered
 * instead. */
void verify_failure(struct verify_case *c, struct verify_place place, const struct cr_error *err);
/* It cannot run here: it does not fail for that. */
void verify_absent(struct verify_case *c, struct verify_place place, const char *format, ...)
    CR_PRINTF(3, 4);
/* Is there no reason so far to stop? */
bool verify_goes_on(const struct verify_case *c);
/* Every key of `object` must be one of `keys` (which ends with NULL), or begin with "x-". */
void verify_check_keys(struct verify_case *c, struct verify_place place, const cJSON *object,
                       const char *what, const char *const *keys);

/* ---- devices.c ---- */

/* The device, opened by whoever asks first; NULL after verify_absent(). `where` is what names it.
 */
struct verify_device *verify_device(struct verify_case *c, const char *name,
                                    struct verify_place where);
/* The same for a device that the user names: it has to be there, whether or not the case uses it.
 */
void verify_need_device(struct verify_case *c, const char *name);
void verify_devices_close(struct cr_verify *verify);

/* ---- tensors.c, values.c ---- */

/* What a value in a case stands for, before it gets a type. */
struct verify_datum {
    const cJSON *json; /* JSON: inline, or what a pointer leads to; else NULL */
    cJSON *root;       /* the document that it was found in; NULL: the case */
    const char *text;  /* a string of no other form; else NULL */
    char *file;        /* an existing file; else NULL */
    struct cr_tensor *tensor;
    bool is_row; /* the tensor is a row of a larger one, whose leading extent is gone */
};
#define VERIFY_DATUM_INIT                                                                          \
    {                                                                                              \
        NULL                                                                                       \
    }

/* `device`: where quantised matrices go, which stay quantised then; NULL: they are dequantised. */
int verify_resolve(struct verify_case *c, const cJSON *json, struct cr_device *device,
                   struct verify_datum *out, struct cr_error *err);
/* The tensor "NAME" or "NAME[i]" of a safetensors file. */
int verify_read_tensor(struct verify_case *c, const char *path, const char *name,
                       struct cr_device *device, struct verify_datum *out, struct cr_error *err);
void verify_datum_finish(struct verify_datum *datum);
/* The numbers of a tensor or of JSON lists, on the host (quantised: on the device). */
int verify_tensor(struct verify_case *c, const cJSON *json, struct cr_device *device,
                  struct cr_tensor **out, bool *is_row, struct cr_error *err);
/* A batch of that type. Errors say what is wrong, not where. */
int verify_value(struct verify_case *c, const cJSON *json, enum cr_type type, struct cr_value **out,
                 struct cr_error *err);
void verify_files_close(struct verify_case *c);

/* ---- bounds.c ---- */

/* Make the entries of the result, with their bounds, from "expected"; check "devices" too. */
void verify_read_expected(struct verify_case *c);
/* Widen the bounds as "devices" says, once the devices that the case uses are known. */
void verify_widen(struct verify_case *c);

/* ---- compare.c ---- */

/* Compare an output with what is expected of it, and note the outcome. NULL: there is none. */
void verify_compare(struct verify_case *c, struct cr_compared *compared,
                    const struct cr_value *value);
void verify_compare_tensor(struct verify_case *c, struct cr_compared *compared,
                           const struct cr_tensor *tensor);

/* ---- stages.c, ops.c ---- */

void verify_run_pipeline(struct verify_case *c);
void verify_run_op(struct verify_case *c);

#endif
