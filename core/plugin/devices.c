/* SPDX-License-Identifier: MIT */
/* Which devices there are, and opening one by name: the part of crayon/device.h that needs the
 * registry. */
#include <string.h>

#include <crayon/memory.h>
#include <crayon/registry.h>

#include "plugin/check.h"
#include "plugin/devices.h"
#include "plugin/registry.h"
#include "tensor/device.h"

#define PREFIX "device-"

struct cr_device_found {
    void (*found)(void *user, const struct cr_device_info *info);
    void *user;
    /* For "auto": the first real GPU. */
    bool choose;
    char chosen[64];
};

void cr_device_found_add(struct cr_device_found *found, const struct cr_device_info *info)
{
    if (found->found != NULL)
        found->found(found->user, info);
    if (found->choose && found->chosen[0] == '\0' && (info->flags & CR_DEVICE_GPU) != 0 &&
        (info->flags & (CR_DEVICE_SOFTWARE | CR_DEVICE_UNUSABLE)) == 0)
        memcpy(found->chosen, info->name, sizeof(found->chosen));
}

static bool is_device(const struct cr_element *element)
{
    return element->kind == CR_ELEMENT_DEVICE;
}

int cr_device_list(const struct cr_registry *registry,
                   void (*found)(void *user, const struct cr_device_info *info),
                   void (*unavailable)(void *user, const char *element, const char *reason),
                   void *user, struct cr_error *err)
{
    struct cr_device_found list = {.found = found, .user = user};
    for (size_t i = 0; i < cr_registry_elements(registry); i++) {
        const struct cr_element *element = cr_registry_element(registry, i);
        if (!is_device(element))
            continue;
        struct cr_error reason = CR_ERROR_INIT;
        if (element->device->list(&list, &reason) < 0) {
            if (reason.code == CR_ERR_MEMORY)
                return cr_fail(err, CR_ERR_MEMORY, "%s", reason.message);
            if (unavailable != NULL)
                unavailable(user, element->name, reason.message);
        }
    }
    return 0;
}

void cr_device_automatic(const struct cr_registry *registry, char name[64])
{
    struct cr_device_found list = {.choose = true};
    for (size_t i = 0; i < cr_registry_elements(registry) && list.chosen[0] == '\0'; i++) {
        const struct cr_element *element = cr_registry_element(registry, i);
        if (is_device(element))
            (void)element->device->list(&list, NULL);
    }
    strcpy(name, list.chosen[0] != '\0' ? list.chosen : "cpu");
}

static const struct cr_element *find_element(const struct cr_registry *registry, const char *name,
                                             size_t length)
{
    for (size_t i = 0; i < cr_registry_elements(registry); i++) {
        const struct cr_element *element = cr_registry_element(registry, i);
        if (is_device(element) && strncmp(element->name, PREFIX, strlen(PREFIX)) == 0 &&
            strlen(element->name) == strlen(PREFIX) + length &&
            memcmp(element->name + strlen(PREFIX), name, length) == 0)
            return element;
    }
    return NULL;
}

static int fail_unknown(const struct cr_registry *registry, const char *name, struct cr_error *err)
{
    const size_t length = strcspn(name, ":");
    const char *refusal = cr_registry_refusal(registry, PREFIX, name, length);
    if (refusal != NULL)
        return cr_fail(err, CR_ERR_NOT_FOUND, "no device \"%s\": the plugin " PREFIX "%.*s: %s",
                       name, (int)length, name, refusal);
    struct cr_text known = CR_TEXT_INIT;
    for (size_t i = 0; i < cr_registry_elements(registry); i++) {
        const struct cr_element *element = cr_registry_element(registry, i);
        if (is_device(element) && strncmp(element->name, PREFIX, strlen(PREFIX)) == 0)
            cr_text_printf(&known, "%s%s", known.size > 0 ? ", " : "",
                           element->name + strlen(PREFIX));
    }
    cr_fail(err, CR_ERR_NOT_FOUND, "no device \"%s\"; there are: %s", name,
            known.size > 0 ? known.data : "none, no device plugin was found");
    cr_text_finish(&known);
    return CR_ERR_NOT_FOUND;
}

int cr_device_known(const struct cr_registry *registry, const char *name, struct cr_error *err)
{
    if (strcmp(name, "auto") == 0 || find_element(registry, name, strcspn(name, ":")) != NULL)
        return 0;
    return fail_unknown(registry, name, err);
}

bool cr_element_uses_device(const struct cr_element *element)
{
    return element->kind == CR_ELEMENT_STAGE && CR_HAS(element, flags) &&
           (element->flags & CR_ELEMENT_USES_DEVICE) != 0;
}

bool cr_element_is_serial(const struct cr_element *element)
{
    return CR_HAS(element, flags) && (element->flags & CR_ELEMENT_SERIAL) != 0;
}

int cr_device_open(struct cr_device **out, const struct cr_registry *registry, const char *name,
                   const struct cr_device_params *params, struct cr_error *err)
{
    *out = NULL;
    char automatic[64];
    if (name == NULL || strcmp(name, "auto") == 0) {
        cr_device_automatic(registry, automatic);
        name = automatic;
    }
    size_t length = strcspn(name, ":");
    const struct cr_element *element = find_element(registry, name, length);
    if (element == NULL)
        return fail_unknown(registry, name, err);
    const char *selector = name[length] == ':' ? name + length + 1 : "";
    return cr_device_create(out, element->device, element->state_size, selector, params, err);
}
