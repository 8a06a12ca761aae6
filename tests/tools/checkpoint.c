/* SPDX-License-Identifier: MIT */
/* Write a checkpoint of CoLLaVO-7B's shape, with all its names, in 16-bit floats and shards as it
 * is published, filled with random numbers: to try loading, memory and speed at full size.
 *
 *     checkpoint [--layers N] [--shard-bytes N] FOLDER
 *
 * Norms are 1, matrices normal with a deviation of 1 / sqrt(columns), so that numbers stay of the
 * size that real ones have. No tokenizer.model is written. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define WIDTH 4096
#define HEADS 32
#define KEY_HEADS 8
#define HEAD 128
#define INNER 14336
#define VOCABULARY 92544
#define RANK 256
#define CRAYON 4096 /* features that the branches read */
#define VISION 1024
#define VISION_INNER 4096
#define VISION_LAYERS 24
#define VISION_TOKENS 1226

struct entry {
    char name[256];
    int rank;
    int64_t shape[4];
    uint64_t bytes;
    int shard;
    bool ones;
};

static struct entry *entries;
static size_t count, capacity;

static void die(const char *what)
{
    fprintf(stderr, "checkpoint: %s: %s\n", what, strerror(errno));
    exit(1);
}

static struct entry *add(int rank, int64_t a, int64_t b, const char *name)
{
    if (count == capacity) {
        capacity = capacity == 0 ? 1024 : 2 * capacity;
        if ((entries = realloc(entries, capacity * sizeof(*entries))) == NULL)
            die("memory");
    }
    struct entry *entry = &entries[count++];
    *entry = (struct entry){.rank = rank, .shape = {a, b}};
    snprintf(entry->name, sizeof(entry->name), "%s", name);
    entry->bytes = 2 * (uint64_t)a * (uint64_t)(rank > 1 ? b : 1);
    return entry;
}

static void matrix(int64_t n, int64_t k, const char *prefix, const char *name)
{
    char full[256];
    snprintf(full, sizeof(full), "%s%s", prefix, name);
    (void)add(2, n, k, full);
}

static void vector(int64_t n, const char *prefix, const char *name, bool ones)
{
    char full[256];
    snprintf(full, sizeof(full), "%s%s", prefix, name);
    add(1, n, 0, full)->ones = ones;
}

/* A linear of the language model: the matrix and its branches for image rows. */
static void plora(int64_t n, int64_t k, const char *layer, const char *name)
{
    char prefix[96];
    snprintf(prefix, sizeof(prefix), "%s%s.Plora_", layer, name);
    matrix(RANK, k, prefix, "A.weight");
    matrix(n, RANK, prefix, "B.weight");
    matrix(n, k, prefix, "main.weight");
    matrix(RANK, strstr(name, "w2") != NULL ? k : CRAYON, prefix, "seg_A.weight");
    matrix(n, RANK, prefix, "seg_B.weight");
}

static void language_model(int layers)
{
    char layer[64];
    matrix(VOCABULARY + 1, WIDTH, "model.", "tok_embeddings.weight");
    for (int i = 0; i < layers; i++) {
        snprintf(layer, sizeof(layer), "model.layers.%d.", i);
        plora((HEADS + 2 * KEY_HEADS) * HEAD, WIDTH, layer, "attention.wqkv");
        plora(WIDTH, HEADS * HEAD, layer, "attention.wo");
        plora(INNER, WIDTH, layer, "feed_forward.w1");
        plora(INNER, WIDTH, layer, "feed_forward.w3");
        plora(WIDTH, INNER, layer, "feed_forward.w2");
        vector(WIDTH, layer, "attention_norm.weight", true);
        vector(WIDTH, layer, "ffn_norm.weight", true);
    }
    vector(WIDTH, "model.", "norm.weight", true);
    matrix(VOCABULARY, WIDTH, "output", ".weight");
}

static void norm(const char *prefix, const char *name)
{
    char full[128];
    snprintf(full, sizeof(full), "%s%s", prefix, name);
    vector(VISION, full, ".weight", true);
    vector(VISION, full, ".bias", false);
}

static void linear(int64_t n, int64_t k, const char *prefix, const char *name)
{
    char full[128];
    snprintf(full, sizeof(full), "%s%s", prefix, name);
    matrix(n, k, full, ".weight");
    vector(n, full, ".bias", false);
}

#define TOWER "vit.vision_tower.vision_model."

static void vision_tower(void)
{
    static const char *const attention[] = {"self_attn.k_proj", "self_attn.v_proj",
                                            "self_attn.q_proj", "self_attn.out_proj"};
    vector(VISION, TOWER, "embeddings.class_embedding", false);
    struct entry *patches = add(2, VISION, 3 * 14 * 14, TOWER "embeddings.patch_embedding.weight");
    patches->rank = 4;
    memcpy(patches->shape, (int64_t[]){VISION, 3, 14, 14}, sizeof(patches->shape));
    matrix(VISION_TOKENS, VISION, TOWER, "embeddings.position_embedding.weight");
    norm(TOWER, "pre_layrnorm");
    norm(TOWER, "post_layernorm");
    for (int i = 0; i < VISION_LAYERS; i++) {
        char layer[96];
        snprintf(layer, sizeof(layer), TOWER "encoder.layers.%d.", i);
        for (int j = 0; j < 4; j++)
            linear(VISION, VISION, layer, attention[j]);
        norm(layer, "layer_norm1");
        norm(layer, "layer_norm2");
        linear(VISION_INNER, VISION, layer, "mlp.fc1");
        linear(VISION, VISION_INNER, layer, "mlp.fc2");
    }
}

static void connectors(void)
{
    linear(WIDTH, VISION, "vision_proj.", "0");
    linear(WIDTH, WIDTH, "vision_proj.", "2");
    linear(WIDTH, VISION, "vision_proj_for_seg.", "0");
    linear(WIDTH, WIDTH, "vision_proj_for_seg.", "2");
    matrix(134, VISION, "seg_prompt_embed", ".weight");
    matrix(21, VISION, "seg_num_embed", ".weight");
}

/* ---- Numbers ---- */

static uint16_t table[65536]; /* half floats, about normal with deviation 1 */

static uint16_t to_half(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude < 0x38800000u)
        return (uint16_t)sign;
    return (uint16_t)(sign | (magnitude - 0x38000000u) >> 13);
}

static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* 65536 numbers of deviation `scale`: sums of four uniform ones. */
static void fill_table(float scale)
{
    uint64_t state = 88172645463325252u;
    for (int i = 0; i < 65536; i++) {
        float sum = 0;
        for (int j = 0; j < 4; j++)
            sum += (float)(next(&state) >> 40) / 16777216.0f - 0.5f;
        table[i] = to_half(sum * 1.7320508f * scale);
    }
}

static void write_numbers(FILE *file, const struct entry *entry, uint64_t *state)
{
    static uint16_t piece[1 << 18];
    uint64_t left = entry->bytes / 2;
    const int64_t columns = entry->rank == 1 ? 4096 : (int64_t)left / entry->shape[0];
    fill_table(1 / sqrtf((float)columns));
    while (left > 0) {
        size_t n = left < sizeof(piece) / 2 ? (size_t)left : sizeof(piece) / 2;
        for (size_t i = 0; i < n; i += 4) {
            uint64_t random = next(state);
            for (size_t j = 0; j < 4 && i + j < n; j++, random >>= 16)
                piece[i + j] = entry->ones ? 0x3c00 : table[random & 0xffff];
        }
        if (fwrite(piece, 2, n, file) != n)
            die("writing");
        left -= n;
    }
}

/* ---- Files ---- */

static FILE *create(const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        die(path);
    return file;
}

static void finish(FILE *file)
{
    if (fclose(file) != 0)
        die("closing");
}

static void print_shape(FILE *file, const struct entry *entry)
{
    for (int i = 0; i < entry->rank; i++)
        fprintf(file, "%s%" PRId64, i > 0 ? "," : "", entry->shape[i]);
}

static void write_shard(const char *folder, int shard, int shards, uint64_t *state)
{
    char name[64];
    char *header = NULL;
    size_t size = 0;
    uint64_t offset = 0;
    FILE *text = open_memstream(&header, &size);
    fprintf(text, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < count; i++) {
        if (entries[i].shard != shard)
            continue;
        fprintf(text, ",\"%s\":{\"dtype\":\"F16\",\"shape\":[", entries[i].name);
        print_shape(text, &entries[i]);
        fprintf(text, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", offset,
                offset + entries[i].bytes);
        offset += entries[i].bytes;
    }
    fprintf(text, "}");
    while (fflush(text) == 0 && size % 8 != 0)
        fputc(' ', text);
    finish(text);
    snprintf(name, sizeof(name), "model-%05d-of-%05d.safetensors", shard + 1, shards);
    FILE *file = create(folder, name);
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)((uint64_t)size >> (8 * i));
    if (fwrite(length, 1, 8, file) != 8 || fwrite(header, 1, size, file) != size)
        die(name);
    for (size_t i = 0; i < count; i++)
        if (entries[i].shard == shard)
            write_numbers(file, &entries[i], state);
    finish(file);
    free(header);
}

static void write_index(const char *folder, int shards)
{
    FILE *file = create(folder, "model.safetensors.index.json");
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += entries[i].bytes;
    fprintf(file, "{\"metadata\":{\"total_size\":%" PRIu64 "},\"weight_map\":{", total);
    for (size_t i = 0; i < count; i++)
        fprintf(file, "%s\"%s\":\"model-%05d-of-%05d.safetensors\"", i > 0 ? "," : "",
                entries[i].name, entries[i].shard + 1, shards);
    fprintf(file, "}}\n");
    finish(file);
}

static void write_config(const char *folder, int layers)
{
    FILE *file = create(folder, "config.json");
    fprintf(file,
            "{\"architectures\":[\"CoLLaVOModel\"],\"model_type\":\"internlm\",\"bias\":false,"
            "\"bos_token_id\":1,\"eos_token_id\":2,\"pad_token_id\":2,\"hidden_act\":\"silu\","
            "\"hidden_size\":%d,\"intermediate_size\":%d,\"num_hidden_layers\":%d,"
            "\"num_attention_heads\":%d,\"num_key_value_heads\":%d,\"rms_norm_eps\":1e-05,"
            "\"rope_theta\":1000000,\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":1.0},"
            "\"max_position_embeddings\":32768,\"vocab_size\":%d,\"tie_word_embeddings\":false}\n",
            WIDTH, INNER, layers, HEADS, KEY_HEADS, VOCABULARY);
    finish(file);
}

int main(int argc, char **argv)
{
    int layers = 32, at = 1, shard = 0;
    uint64_t limit = 10000000000u, used = 0, state = 0x9e3779b97f4a7c15u;
    for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
        if (strcmp(argv[at], "--layers") == 0)
            layers = atoi(argv[at + 1]);
        else if (strcmp(argv[at], "--shard-bytes") == 0)
            limit = strtoull(argv[at + 1], NULL, 10);
        else
            break;
    }
    if (at + 1 != argc || argv[at][0] == '-' || layers < 1 || layers > 32 || limit == 0) {
        fprintf(stderr, "usage: checkpoint [--layers 1..32] [--shard-bytes N] FOLDER\n");
        return 2;
    }
    if (mkdir(argv[at], 0777) < 0 && errno != EEXIST)
        die(argv[at]);
    language_model(layers);
    vision_tower();
    connectors();
    for (size_t i = 0; i < count; i++) {
        if (used > 0 && used + entries[i].bytes > limit) {
            shard++;
            used = 0;
        }
        entries[i].shard = shard;
        used += entries[i].bytes;
    }
    write_config(argv[at], layers);
    write_index(argv[at], shard + 1);
    for (int i = 0; i <= shard; i++)
        write_shard(argv[at], i, shard + 1, &state);
    free(entries);
    return 0;
}
