/* SPDX-License-Identifier: MIT */
/* Which device a name means, in machines that are made up. */
#include "test.h"

#include "vk.h"

/* ---- A machine ---- */

struct card {
    const char *name;
    VkPhysicalDeviceType type;
    uint32_t vendor, version;
    uint8_t uuid; /* each byte of it */
    bool addresses, semaphores;
};

#define DISCRETE VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU
#define INTEGRATED VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU
#define SOFTWARE VK_PHYSICAL_DEVICE_TYPE_CPU

static const struct card *cards;
static uint32_t card_count;
static bool backwards; /* the order in which the loader finds them */

static VkResult enumerate(VkInstance instance, uint32_t *count, VkPhysicalDevice *devices)
{
    (void)instance;
    assert_true(*count >= card_count);
    *count = card_count;
    for (uint32_t i = 0; i < card_count; i++)
        devices[i] = (VkPhysicalDevice)(uintptr_t)&cards[backwards ? card_count - 1 - i : i];
    return VK_SUCCESS;
}

static const struct card *card_of(VkPhysicalDevice device)
{
    return (const struct card *)(const void *)device;
}

static void properties(VkPhysicalDevice device, VkPhysicalDeviceProperties2 *out)
{
    const struct card *card = card_of(device);
    out->properties.apiVersion = card->version;
    out->properties.vendorID = card->vendor;
    out->properties.deviceType = card->type;
    snprintf(out->properties.deviceName, sizeof(out->properties.deviceName), "%s", card->name);
    for (VkBaseOutStructure *next = out->pNext; next != NULL; next = next->pNext)
        if (next->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES)
            memset(((VkPhysicalDeviceIDProperties *)(void *)next)->deviceUUID, card->uuid,
                   VK_UUID_SIZE);
}

static void features(VkPhysicalDevice device, VkPhysicalDeviceFeatures2 *out)
{
    VkPhysicalDeviceVulkan12Features *vulkan12 = out->pNext;
    assert_int_equal(vulkan12->sType, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES);
    vulkan12->bufferDeviceAddress = card_of(device)->addresses;
    vulkan12->timelineSemaphore = card_of(device)->semaphores;
}

static void memories(VkPhysicalDevice device, VkPhysicalDeviceMemoryProperties2 *out)
{
    (void)device;
    out->memoryProperties.memoryHeapCount = 0;
}

static void queues(VkPhysicalDevice device, uint32_t *count, VkQueueFamilyProperties *out)
{
    (void)device;
    *count = 1;
    out[0] = (VkQueueFamilyProperties){.queueFlags = VK_QUEUE_COMPUTE_BIT, .queueCount = 1};
}

static VkResult extensions(VkPhysicalDevice device, const char *layer, uint32_t *count,
                           VkExtensionProperties *out)
{
    (void)device;
    (void)layer;
    (void)out;
    *count = 0;
    return VK_SUCCESS;
}

static struct vk_api machine(void)
{
    return (struct vk_api){
        .EnumeratePhysicalDevices = enumerate,
        .EnumerateDeviceExtensionProperties = extensions,
        .GetPhysicalDeviceProperties2 = properties,
        .GetPhysicalDeviceFeatures2 = features,
        .GetPhysicalDeviceMemoryProperties2 = memories,
        .GetPhysicalDeviceQueueFamilyProperties = queues,
    };
}

/* "name, its number", or the message; in either order of the loader. */
static const char *choose(const char *selector)
{
    static char answers[2][sizeof(((struct cr_error *)0)->message)];
    static struct vk_physical list[VK_MAX_DEVICES];
    struct vk_api api = machine();
    for (int i = 0; i < 2; i++) {
        const struct vk_physical *chosen = NULL;
        struct cr_error err = CR_ERROR_INIT;
        uint32_t count = 0;
        backwards = i == 1;
        assert_int_equal(vk_physical_list(&api, VK_NULL_HANDLE, list, &count, &err), 0);
        if (vk_physical_choose(list, count, selector, &chosen, &err) < 0)
            snprintf(answers[i], sizeof(answers[i]), "%s", err.message);
        else
            snprintf(answers[i], sizeof(answers[i]), "%s, %u", chosen->properties.deviceName,
                     chosen->index);
        cr_error_clear(&err);
    }
    assert_text(selector, answers[0], answers[1]);
    return answers[0];
}

static void use_machine(const struct card *list, size_t count)
{
    cards = list;
    card_count = (uint32_t)count;
}

/* ---- Tests ---- */

#define V12 VK_API_VERSION_1_2
static const struct card many[] = {
    {"llvmpipe (LLVM 15)", SOFTWARE, 0x10005, V12, 0x11, true, true},
    {"Intel Arc", INTEGRATED, 0x8086, V12, 0xAB, true, true},
    {"Radeon RX 6800", DISCRETE, 0x1002, V12, 0x22, true, true},
    {"Radeon RX 6800 XT", DISCRETE, 0x1002, V12, 0x23, true, true},
    {"GeForce", DISCRETE, 0x10DE, V12, 0x24, true, false},
};

static void test_selectors(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "Radeon RX 6800, 0"},
        {"0", "Radeon RX 6800, 0"},
        {"1", "Radeon RX 6800 XT, 1"},
        {"3", "Intel Arc, 3"},
        {"4", "llvmpipe (LLVM 15), 4"},
        {"arc", "Intel Arc, 3"},
        {"LLVMpipe", "llvmpipe (LLVM 15), 4"},
        {"radeon rx 6800", "Radeon RX 6800, 0"}, /* a whole name before a part */
        {"6800 XT", "Radeon RX 6800 XT, 1"},
        {"abababab-abab-abab-abab-abababababab", "Intel Arc, 3"},
        {"ABABABABABABABABABABABABABABABAB", "Intel Arc, 3"},
        {"radeon", "\"vulkan:radeon\" fits several devices: vulkan:0 (Radeon RX 6800), vulkan:1 "
                   "(Radeon RX 6800 XT); name one by its number"},
        {"GeForce", "vulkan:2 (GeForce) cannot be used: it has no timeline semaphores"},
        {"5", "no device \"vulkan:5\"; there are: vulkan:0 (Radeon RX 6800), vulkan:1 (Radeon RX "
              "6800 XT), vulkan:2 (GeForce), vulkan:3 (Intel Arc), vulkan:4 (llvmpipe (LLVM 15))"},
    };
    use_machine(many, COUNT(many));
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_text(cases[i][0], choose(cases[i][0]), cases[i][1]);
}

/* What "vulkan" means elsewhere: never a driver that computes on the processor. */
static void test_default(void **state)
{
    (void)state;
    static const struct card none[1],
        software[] = {{"lavapipe", SOFTWARE, 5, V12, 1, true, true}},
        laptop[] = {{"lavapipe", SOFTWARE, 5, V12, 1, true, true},
                    {"Iris", INTEGRATED, 0x8086, V12, 2, true, true},
                    {"Quadro", DISCRETE, 1, VK_API_VERSION_1_1, 3, true, true}},
        old[] = {{"Quadro", DISCRETE, 1, VK_API_VERSION_1_1, 3, true, true}},
        poor[] = {{"Mali", INTEGRATED, 1, V12, 3, false, true},
                  {"lavapipe", SOFTWARE, 5, V12, 1, true, true}};
    use_machine(none, 0);
    assert_text("none", choose(""), "no GPU: the Vulkan drivers on this machine find none");
    use_machine(software, COUNT(software));
    assert_text("software", choose(""),
                "no GPU, only drivers that compute on the processor: vulkan:0 (lavapipe); they are "
                "used when they are named so");
    use_machine(laptop, COUNT(laptop));
    assert_text("laptop", choose(""), "Iris, 1");
    use_machine(old, COUNT(old));
    assert_text("old", choose(""), "no GPU that could be used: Quadro has Vulkan 1.1, not 1.2");
    use_machine(poor, COUNT(poor));
    assert_text("poor", choose(""),
                "no GPU that could be used: Mali has no buffer device addresses");
}

/* Two cards of one name are told apart by their UUIDs, in any order of the loader. */
static void test_twins(void **state)
{
    (void)state;
    static const struct card twins[] = {{"H100", DISCRETE, 0x10DE, V12, 0x55, true, true},
                                        {"H100", DISCRETE, 0x10DE, V12, 0x44, true, true}};
    use_machine(twins, COUNT(twins));
    assert_text("uuid", choose("55555555-5555-5555-5555-555555555555"), "H100, 1");
    assert_text("name", choose("H100"),
                "\"vulkan:H100\" fits several devices: vulkan:0 (H100), vulkan:1 (H100); name one "
                "by its number");
}

static void test_info(void **state)
{
    (void)state;
    struct vk_physical list[VK_MAX_DEVICES];
    struct vk_api api = machine();
    struct cr_error err = CR_ERROR_INIT;
    struct cr_device_info info = {.size = sizeof(info)};
    uint32_t count = 0;
    use_machine(many, COUNT(many));
    assert_int_equal(vk_physical_list(&api, VK_NULL_HANDLE, list, &count, &err), 0);
    vk_physical_info(&list[2], &info);
    assert_int_equal(info.flags, CR_DEVICE_GPU | CR_DEVICE_UNUSABLE);
    assert_true(strncmp(info.detail, "cannot be used: it has no timeline semaphores\n", 46) == 0);
    vk_physical_info(&list[4], &info);
    assert_int_equal(info.flags, CR_DEVICE_GPU | CR_DEVICE_SOFTWARE);
    assert_non_null(strstr(info.detail, "uuid 11111111-1111-1111-1111-111111111111"));
    assert_non_null(strstr(info.detail, "f16 (the driver lacks shaderFloat16)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_selectors),
        cmocka_unit_test(test_default),
        cmocka_unit_test(test_twins),
        cmocka_unit_test(test_info),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
