/* SPDX-License-Identifier: MIT */
/* vulkan.h: the Vulkan device from inside: what the kernels' side sees of it.
 *
 * An operation (struct vk_entry) turns a call into dispatches. A dispatch names a shader, its
 * specialisation, its push constants, how many groups it takes, which memory it reads and writes,
 * and what it costs. Everything else follows from that: barriers from the ranges, the end of a
 * submission from the cost, the compiled pipeline from shader and specialisation.
 *
 * Addresses are device addresses (VkBufferDeviceAddress): a shader gets them as uvec2 in its push
 * constants. Memory is read and written in 32-bit words; tensors are aligned to 4 bytes and no
 * more. */
#ifndef VULKAN_H
#define VULKAN_H

#include <crayon/memory.h>
#include <crayon/ops.h>

struct vk; /* the device: vk.h has the inside, which kernels do not need */

/* ---- What the hardware can do ---- */

/* Features that a variant may need. $CRAYON_VULKAN_DISABLE switches them off by these names (commas
 * between). */
#define VK_FEATURES(X)                                                                             \
    X(SUBGROUP, "subgroup", "subgroup arithmetic and shuffles, of a required size, all full")      \
    X(VECTOR, "vector", "products of few rows that read the weights once")                         \
    X(TILE, "tile", "products and transposes in tiles of shared memory")                           \
    X(SPLIT, "split", "sums split over several groups where the grid is small")                    \
    X(WIDE, "wide", "loads of 128 bits where the addresses allow them")                            \
    X(F16, "f16", "arithmetic in 16-bit floats")                                                   \
    X(DOT, "dot", "dot products of 8-bit integers")                                                \
    X(COOPMAT, "coopmat", "cooperative matrices")

enum vk_feature {
#define VK_FEATURE_ENTRY(name, words, doc) VK_FEATURE_##name,
    VK_FEATURES(VK_FEATURE_ENTRY)
#undef VK_FEATURE_ENTRY
    VK_FEATURE_COUNT
};

struct vk_caps {
    uint32_t features;      /* bits 1 << enum vk_feature: there, and not switched off */
    uint32_t subgroup;      /* lanes of the subgroups that shaders ask for; a power of two, >= 4 */
    uint32_t max_threads;   /* a group, 128 at least */
    uint32_t shared_memory; /* bytes a group, 16384 at least */
    bool software;          /* a driver that computes on the CPU */
    bool keeps_denormals;   /* shaderDenormPreserveFloat32; else f32 denormals may count as 0 */
};
const struct vk_caps *vk_caps(const struct vk *vk);

static inline bool vk_has(const struct vk *vk, enum vk_feature feature)
{
    return (vk_caps(vk)->features >> feature & 1) != 0;
}

/* One way to execute an operation. Rows of a table, the best one first. */
struct vk_variant {
    const char *name; /* "nf4-vector-subgroup": what variant() answers */
    uint32_t needs;   /* bits 1 << enum vk_feature */
};
#define VK_NEEDS(feature) (1u << VK_FEATURE_##feature)
/* The first row (the last one needs nothing, name NULL ends the table) whose needs are met.
 * `crayon devices -v` prints the tables with the reason for each row that is passed over. */
const struct vk_variant *vk_pick(const struct vk *vk, const struct vk_variant *table);

/* ---- Dispatches ---- */

/* A shader: SPIR-V for Vulkan 1.2, compiled from shaders/NAME.comp at build time.
 * Specialisation constants 0, 1, ... are the numbers that vk_spec() adds, in their order; constant
 * 0 is always local_size_x. */
struct vk_shader {
    const char *name; /* without ".comp" */
    const uint32_t *code;
    size_t bytes;
};

#define VK_MAX_SPECS 16
#define VK_MAX_PUSH 128
#define VK_MAX_RANGES 16

struct vk_range {
    uint64_t start, end; /* device addresses, end exclusive; rounded out to words */
};

struct vk_dispatch {
    const struct vk_shader *shader;
    bool subgroup;     /* needs full subgroups of vk_caps().subgroup lanes (VK_FEATURE_SUBGROUP) */
    uint64_t groups;   /* folded to two dimensions: group id = x + y * 32768 (group_id() in GLSL) */
    uint32_t layers;   /* gl_WorkGroupID.z, 0 counts as 1; 65535 at most */
    double bytes;      /* memory that has to be moved at least */
    double operations; /* f32 operations that have to be done at least */
    uint32_t spec[VK_MAX_SPECS];
    uint32_t specs;
    uint8_t push[VK_MAX_PUSH];
    uint32_t push_bytes;
    struct vk_range reads[VK_MAX_RANGES], writes[VK_MAX_RANGES];
    uint32_t read_count, write_count;
};

/* Start: everything zero but shader and local size (specialisation constant 0). */
void vk_begin(struct vk_dispatch *d, const struct vk_shader *shader, uint32_t local_size);
void vk_spec(struct vk_dispatch *d, uint32_t value);
/* The push constants: a struct laid out as the shader's block (std430: uvec2 as uint64_t). */
void vk_push(struct vk_dispatch *d, const void *data, size_t bytes);
/* Declare what is read and written. An absent operand is passed over. Every byte that a shader
 * touches has to be declared: a range that is missing is a wrong result on some GPU. */
void vk_reads(struct vk_dispatch *d, const struct cr_operand *operand);
void vk_writes(struct vk_dispatch *d, const struct cr_operand *operand);
void vk_reads_at(struct vk_dispatch *d, uint64_t address, uint64_t bytes);
void vk_writes_at(struct vk_dispatch *d, uint64_t address, uint64_t bytes);
/* Record. The device may cut one dispatch into several along the groups, so that no submission
 * takes too long: gl_WorkGroupID counts on, gl_NumWorkGroups means nothing. */
int vk_dispatch(struct vk *vk, const struct vk_dispatch *d, struct cr_error *err);

/* The address of an operand's first element (or codes), scales, second-level scales (0: none), map;
 * 0 for an absent operand. */
uint64_t vk_address(const struct cr_operand *operand);
uint64_t vk_scales(const struct cr_operand *operand);
uint64_t vk_nested(const struct cr_operand *operand);
uint64_t vk_nested_map(const struct cr_operand *operand);

/* Device memory for the length of one call, aligned to 256. Reuse is safe: barriers follow from
 * ranges. */
int vk_scratch(struct vk *vk, uint64_t bytes, uint64_t *address, struct cr_error *err);
/* A small record of at most 4096 bytes, copied to memory that dispatches of this call may read (its
 * range need not be declared): for more operands than push constants hold. */
int vk_record(struct vk *vk, const void *data, size_t bytes, uint64_t *address,
              struct cr_error *err);
/* The address of a word that a shader sets to anything but 0 (atomicOr) when it meets what may not
 * be; the next synchronisation then reports "<operation>: <message>". `message` is a literal. */
int vk_alarm(struct vk *vk, const struct cr_call *call, const char *message, uint64_t *address,
             struct cr_error *err);
/* Wait for everything recorded so far, and copy between host and device: for the few operations
 * whose second half runs on the host. */
int vk_fetch(struct vk *vk, uint64_t address, void *data, size_t bytes, struct cr_error *err);
int vk_store(struct vk *vk, uint64_t address, const void *data, size_t bytes, struct cr_error *err);
/* Copy inside the device; ranges are known. */
int vk_copy(struct vk *vk, uint64_t from, uint64_t to, uint64_t bytes, struct cr_error *err);

/* ---- Operations ---- */

struct vk_entry {
    enum cr_op op; /* 0 ends a family */
    int (*run)(struct vk *vk, const struct cr_call *call, struct cr_error *err);
    const char *(*variant)(const struct vk *vk, const struct cr_call *call); /* NULL: "plain" */
};

struct vk_family {
    const struct vk_entry *entries;
    const struct vk_variant *const *variants; /* tables, ends with NULL; or NULL: for devices -v */
};

extern const struct vk_family vk_elements_family; /* elements.c: add .. silu_mul, fill, cast */
extern const struct vk_family vk_reduce_family;   /* reduce.c: softmax .. topk, norms */
extern const struct vk_family vk_layout_family;   /* layout.c: slice, concat, permute, pad, roll */
extern const struct vk_family vk_rows_family;     /* rows.c: embedding, gather, scatter, rope, kv */
extern const struct vk_family vk_linear_family;   /* linear.c: linear, linear_fused, matmul */
extern const struct vk_family vk_attention_family; /* attention.c */
extern const struct vk_family vk_picture_family;   /* picture.c: conv2d, resize, ms_deform_attn */
extern const struct vk_family vk_quantize_family;  /* quantize.c: quantize, dequantize */
extern const struct vk_family vk_train_family;     /* train.c: cross entropy, adamw, grad_norm */

/* ---- Operands ---- */

static inline bool vk_present(const struct cr_operand *operand)
{
    return operand->memory != NULL;
}

static inline int64_t vk_elements(const struct cr_operand *operand)
{
    int64_t elements = 1;
    for (int i = 0; i < operand->rank; i++)
        elements *= operand->shape[i];
    return elements;
}

static inline int64_t vk_last(const struct cr_operand *operand)
{
    return operand->rank == 0 ? 1 : operand->shape[operand->rank - 1];
}

/* The product of all extents but the last. */
static inline int64_t vk_rows(const struct cr_operand *operand)
{
    int64_t rows = 1;
    for (int i = 0; i + 1 < operand->rank; i++)
        rows *= operand->shape[i];
    return rows;
}

#endif
