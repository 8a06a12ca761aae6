/* SPDX-License-Identifier: MIT */
/* devices.c: the devices of a session: each opened once, at the first case that needs it. */
#include <string.h>

#include <crayon/memory.h>

#include "tensor/device.h"
#include "verify/case.h"

/* Another name for a device that is open shares it. */
static void share(struct cr_verify *verify, struct verify_device *opened)
{
    for (const struct verify_device *other = verify->devices; other != NULL; other = other->next) {
        if (other->device != NULL && strcmp(other->name, opened->name) == 0) {
            cr_device_unref(&opened->device);
            opened->device = cr_device_ref(other->device);
            return;
        }
    }
}

static void open_device(struct cr_verify *verify, struct verify_device *opened)
{
    struct cr_error err = CR_ERROR_INIT;
    const struct cr_device_params params = {
        .precision = CR_PRECISION_EXACT,
        .threads = verify->params.threads,
        .log = verify->params.log,
    };
    if (cr_device_open(&opened->device, verify->params.registry, opened->asked, &params, &err) <
        0) {
        bool named = strstr(err.message, opened->asked) != NULL;
        opened->reason = named ? cr_strdup(err.message)
                               : cr_asprintf("device \"%s\": %s", opened->asked, err.message);
        return;
    }
    struct cr_device_info info;
    cr_device_get_info(opened->device, &info);
    memcpy(opened->name, info.name, sizeof(opened->name));
    share(verify, opened);
}

static struct verify_device *add(struct cr_verify *verify, const char *name)
{
    struct verify_device *opened = cr_calloc(1, sizeof(*opened));
    if (opened == NULL || (opened->asked = cr_strdup(name)) == NULL) {
        cr_free(opened);
        return NULL;
    }
    open_device(verify, opened);
    opened->next = verify->devices;
    verify->devices = opened;
    return opened;
}

static void note_use(struct verify_case *c, const struct verify_device *device)
{
    if (c->used_count == 0)
        memcpy(c->result->device, device->name, sizeof(c->result->device));
    if (c->used_count < CR_VERIFY_DEVICES)
        c->used[c->used_count++] = device;
}

static struct verify_device *find(struct verify_case *c, const char *name,
                                  struct verify_place where)
{
    struct verify_device *device = c->verify->devices;
    while (device != NULL && strcmp(device->asked, name) != 0)
        device = device->next;
    if (device == NULL && (device = add(c->verify, name)) == NULL) {
        c->no_memory = true;
        return NULL;
    }
    if (device->device != NULL)
        return device;
    verify_absent(c, where, "%s",
                  device->reason != NULL ? device->reason : "the device does not open");
    return NULL;
}

struct verify_device *verify_device(struct verify_case *c, const char *name,
                                    struct verify_place where)
{
    struct verify_device *device = find(c, name, where);
    if (device != NULL)
        note_use(c, device);
    return device;
}

void verify_need_device(struct verify_case *c, const char *name)
{
    (void)find(c, name, VERIFY_PLACE(NULL));
}

void verify_devices_close(struct cr_verify *verify)
{
    while (verify->devices != NULL) {
        struct verify_device *old = verify->devices;
        verify->devices = old->next;
        cr_device_unref(&old->device);
        cr_free((char *)(uintptr_t)old->asked);
        cr_free(old->reason);
        cr_free(old);
    }
}
