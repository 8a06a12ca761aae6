/* SPDX-License-Identifier: MIT */
/* Compiled pipelines on disk: one file for each device and driver.
 *
 * What a driver put into its cache it takes back without much looking at it, and some crash on what
 * is not theirs. So the file has a header of our own in front, and is dropped on any doubt. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <crayon/file.h>

#include "shaders.h"
#include "vk.h"

#define MAX_BYTES ((size_t)256 << 20)
#define VERSION 1

/* Everything that another machine, driver or crayon could have otherwise. */
struct identity {
    char magic[8];
    uint32_t version, header_bytes;
    uint32_t vendor, device, driver, driver_version;
    uint8_t device_uuid[VK_UUID_SIZE], cache_uuid[VK_UUID_SIZE];
    uint64_t shaders; /* hash of the code of all of them */
};

struct header {
    struct identity identity;
    uint64_t bytes, hash; /* of what follows */
};

/* FNV-1a; start with 0. */
static uint64_t hash_bytes(uint64_t hash, const void *data, size_t bytes)
{
    const uint8_t *at = data;
    hash ^= UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t hash_shaders(void)
{
    uint64_t hash = 0;
    for (const struct vk_shader *const *shader = vk_shaders; *shader != NULL; shader++)
        hash = hash_bytes(hash, (*shader)->code, (*shader)->bytes);
    return hash;
}

static struct identity identity_of(const struct vk_physical *physical)
{
    struct identity identity = {
        .magic = "crayonVK",
        .version = VERSION,
        .header_bytes = sizeof(struct header),
        .vendor = physical->properties.vendorID,
        .device = physical->properties.deviceID,
        .driver = (uint32_t)physical->vulkan12.driverID,
        .driver_version = physical->properties.driverVersion,
        .shaders = hash_shaders(),
    };
    memcpy(identity.device_uuid, physical->id.deviceUUID, VK_UUID_SIZE);
    memcpy(identity.cache_uuid, physical->properties.pipelineCacheUUID, VK_UUID_SIZE);
    return identity;
}

static void name_file(const struct identity *identity, char name[VK_CACHE_NAME])
{
    int length = snprintf(name, VK_CACHE_NAME, "vulkan/%04x-%04x-%u-", identity->vendor,
                          identity->device, identity->driver);
    for (unsigned i = 0; i < VK_UUID_SIZE; i++)
        length += snprintf(name + length, VK_CACHE_NAME - (size_t)length, "%02x",
                           identity->device_uuid[i]);
    snprintf(name + length, VK_CACHE_NAME - (size_t)length, ".pipelines");
}

/* ---- Reading ---- */

/* The header that drivers put in front themselves (Vulkan specification, "Pipeline Cache Header"):
 * its length, its version 1, vendor, device, UUID. */
static bool is_of_driver(const struct identity *wanted, const uint8_t *data, size_t bytes)
{
    uint32_t words[4];
    if (bytes < sizeof(words) + VK_UUID_SIZE)
        return false;
    memcpy(words, data, sizeof(words));
    return words[0] >= sizeof(words) + VK_UUID_SIZE && words[0] <= bytes && words[1] == 1 &&
           words[2] == wanted->vendor && words[3] == wanted->device &&
           memcmp(data + sizeof(words), wanted->cache_uuid, VK_UUID_SIZE) == 0;
}

/* What is wrong with the file, or NULL. */
static const char *find_doubt(const struct identity *wanted, const char *file, size_t size)
{
    struct header header;
    if (size < sizeof(header))
        return "it is too short";
    memcpy(&header, file, sizeof(header));
    const struct identity *found = &header.identity;
    if (memcmp(found->magic, wanted->magic, sizeof(found->magic)) != 0)
        return "it is no pipeline cache";
    if (found->version != wanted->version || found->header_bytes != wanted->header_bytes)
        return "it has another format";
    if (found->shaders != wanted->shaders)
        return "it was made from other shaders";
    if (memcmp(found, wanted, sizeof(*found)) != 0)
        return "another driver or device wrote it";
    if (header.bytes != size - sizeof(header))
        return "it was cut off";
    if (header.hash != hash_bytes(0, file + sizeof(header), size - sizeof(header)))
        return "it is damaged";
    if (!is_of_driver(wanted, (const uint8_t *)file + sizeof(header), size - sizeof(header)))
        return "the driver's own header in it does not fit";
    return NULL;
}

static void note(const struct vk *vk, enum cr_log_level level, const char *path, const char *what)
{
    cr_log_write(vk->params.log, level, "device-vulkan", "%s: %s", path, what);
}

/* The whole file, or NULL: there is none that could be used. */
static char *read_file(struct vk *vk, const struct identity *wanted, size_t *size)
{
    struct cr_error err = CR_ERROR_INIT;
    char *path = cr_cache_path(vk->pipelines.file), *file = NULL;
    if (path == NULL)
        return NULL;
    if (cr_file_read(path, MAX_BYTES, &file, size, &err) < 0) {
        note(vk, CR_LOG_DEBUG, path, err.message);
        cr_error_clear(&err);
    } else {
        const char *doubt = find_doubt(wanted, file, *size);
        if (doubt != NULL) {
            cr_log_write(vk->params.log, CR_LOG_INFO, "device-vulkan",
                         "%s: not used, %s; pipelines are compiled anew", path, doubt);
            cr_free(file);
            file = NULL;
        }
    }
    cr_free(path);
    return file;
}

static VkResult create(struct vk *vk, const char *data, size_t bytes)
{
    const VkPipelineCacheCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
        .initialDataSize = bytes,
        .pInitialData = data,
    };
    return VK_CALL(&vk->api, CreatePipelineCache, vk->device, &info, NULL, &vk->pipelines.cache);
}

/* $CRAYON_VULKAN_CACHE */
static int read_wish(bool *wanted, struct cr_error *err)
{
    const char *value = getenv("CRAYON_VULKAN_CACHE");
    *wanted = value == NULL || value[0] == '\0' || strcmp(value, "on") == 0;
    if (!*wanted && strcmp(value, "off") != 0)
        return cr_fail(err, CR_ERR_ARGUMENT, "CRAYON_VULKAN_CACHE is \"%s\"; it may be on or off",
                       value);
    return 0;
}

int vk_cache_init(struct vk *vk, struct cr_error *err)
{
    struct vk_pipelines *pipelines = &vk->pipelines;
    const struct identity identity = identity_of(&vk->physical);
    bool wanted = false;
    size_t size = 0;
    int code = read_wish(&wanted, err);
    if (code < 0)
        return code;
    if (wanted)
        name_file(&identity, pipelines->file);
    char *file = wanted ? read_file(vk, &identity, &size) : NULL;
    VkResult result = VK_SUCCESS;
    if (file != NULL) {
        size -= sizeof(struct header);
        result = create(vk, file + sizeof(struct header), size);
        pipelines->loaded = result == VK_SUCCESS ? size : 0;
        pipelines->loaded_hash = hash_bytes(0, file + sizeof(struct header), size);
        cr_free(file);
    }
    if (pipelines->cache == VK_NULL_HANDLE)
        result = create(vk, NULL, 0);
    return result == VK_SUCCESS ? 0 : vk_fail(err, result, "vkCreatePipelineCache");
}

/* ---- Writing ---- */

/* Header and contents in one piece of memory; NULL: there is nothing to write. A driver that keeps
 * nothing gives its own header, which begins with its length. (SwiftShader puts one more in front
 * of what it is given, each time.) */
static char *collect(struct vk *vk, size_t *size)
{
    VkPipelineCache cache = vk->pipelines.cache;
    size_t bytes = 0;
    if (VK_CALL(&vk->api, GetPipelineCacheData, vk->device, cache, &bytes, NULL) != VK_SUCCESS ||
        bytes == 0 || bytes > MAX_BYTES - sizeof(struct header))
        return NULL;
    char *file = cr_malloc(sizeof(struct header) + bytes);
    if (file == NULL)
        return NULL;
    if (VK_CALL(&vk->api, GetPipelineCacheData, vk->device, cache, &bytes,
                file + sizeof(struct header)) != VK_SUCCESS) {
        cr_free(file);
        return NULL;
    }
    uint32_t driver_header = 0;
    if (bytes >= sizeof(driver_header))
        memcpy(&driver_header, file + sizeof(struct header), sizeof(driver_header));
    if (bytes <= driver_header) {
        cr_free(file);
        return NULL;
    }
    const struct header header = {.identity = identity_of(&vk->physical),
                                  .bytes = bytes,
                                  .hash = hash_bytes(0, file + sizeof(struct header), bytes)};
    memcpy(file, &header, sizeof(header));
    *size = sizeof(header) + bytes;
    return file;
}

/* As far as the driver tells. */
static bool nothing_new(const struct vk *vk)
{
    const struct vk_counters *counters = &vk->counters;
    return counters->pipelines == 0 || counters->pipelines_kept == counters->pipelines;
}

void vk_cache_save(struct vk *vk)
{
    struct vk_pipelines *pipelines = &vk->pipelines;
    struct cr_error err = CR_ERROR_INIT;
    struct header header;
    size_t size = 0;
    if (pipelines->file[0] == '\0' || nothing_new(vk) || vk->lost.code != 0)
        return;
    char *file = collect(vk, &size);
    if (file == NULL)
        return;
    memcpy(&header, file, sizeof(header));
    bool changed = header.bytes != pipelines->loaded || header.hash != pipelines->loaded_hash;
    if (changed && cr_cache_write(pipelines->file, file, size, &err) < 0) {
        note(vk, CR_LOG_INFO, "compiled pipelines cannot be kept", err.message);
        cr_error_clear(&err);
    }
    cr_free(file);
}
