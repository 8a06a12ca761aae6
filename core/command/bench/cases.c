/* SPDX-License-Identifier: MIT */
/* What `crayon bench` runs: operations at the sizes at which the models of a CoLLaVO pipeline use
 * them. Names are part of what --baseline compares: they stay. */
#include "command/bench/bench.h"

const char *bench_model_title(enum bench_model model)
{
    static const char *const titles[BENCH_MODELS] = {
        [BENCH_LLM] = "InternLM2-7B: width 4096, 32 layers, 1225 rows of a picture",
        [BENCH_VIT] = "ViT-L/14 at 490x490: 1226 tokens, width 1024, 16 heads",
        [BENCH_SWIN] = "Swin-L and Mask2Former at 384x384: windows of 12x12, width 192 to 1536",
    };
    return titles[model];
}

#define CASE(model, quick, name, kind, type, ...)                                                  \
    {                                                                                              \
        BENCH_##model, quick, name, &bench_##kind, BENCH_##type,                                   \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

/* A product at one number of rows, or at the usual four; `quick` is about one row and 512. */
#define LINEAR(model, quick, words, type, N, K, M)                                                 \
    CASE(model, quick, "linear/" words "/" #N "x" #K "/m" #M, linear, type, M, N, K)
#define LINEAR_ROWS(quick, words, type, N, K)                                                      \
    LINEAR(LLM, quick, words, type, N, K, 1), LINEAR(LLM, false, words, type, N, K, 4),            \
        LINEAR(LLM, false, words, type, N, K, 16), LINEAR(LLM, quick, words, type, N, K, 512)
#define LINEAR_SHAPES(quick, words, type)                                                          \
    LINEAR_ROWS(quick, words, type, 4096, 4096), LINEAR_ROWS(false, words, type, 6144, 4096),      \
        LINEAR_ROWS(false, words, type, 14336, 4096), LINEAR_ROWS(false, words, type, 4096, 14336)
/* The logits: of the last row in every sequence, so never of many rows. */
#define LINEAR_OUTPUT(words, type)                                                                 \
    LINEAR(LLM, false, words, type, 92544, 4096, 1), LINEAR(LLM, false, words, type, 92544, 4096, 4)

#define WINDOW(windows, heads)                                                                     \
    CASE(SWIN, false, "attention/window/b" #windows "/h" #heads "/d32", attention, F32, windows,   \
         heads, heads, 144, 144, 32, BENCH_BIAS | BENCH_MASK)

const struct bench_case bench_cases[] = {
    /* ---- The language model ---- */

    LINEAR_SHAPES(true, "nf4", NF4),
    LINEAR_SHAPES(false, "nf4x2", NF4X2),
    LINEAR_SHAPES(true, "q8_0", Q8_0),
    LINEAR_SHAPES(true, "f16", F16),
    LINEAR_SHAPES(false, "f32", F32),
    LINEAR(LLM, false, "nf4", NF4, 14336, 4096, 1225),
    LINEAR_OUTPUT("nf4", NF4),
    LINEAR_OUTPUT("nf4x2", NF4X2),
    LINEAR_OUTPUT("q8_0", Q8_0),
    LINEAR_OUTPUT("f16", F16),
    CASE(LLM, true, "linear_fused/nf4/6144x4096/m512/r256", linear_fused, NF4, 512, 6144, 4096, 0,
         2, 256, 448, 0),
    CASE(LLM, false, "linear_fused/nf4/6144x4096/m1/r256", linear_fused, NF4, 1, 6144, 4096, 0, 2,
         256, 0, 0),
    CASE(LLM, false, "linear_cross_entropy/nf4/m512", linear_cross_entropy, NF4, 512, 92544, 4096,
         64),

    CASE(LLM, true, "attention/decode/q1/k1226/f16", attention, F16, 1, 32, 8, 1, 1226, 128, 0),
    CASE(LLM, true, "attention/prefill/q512/k1024", attention, F32, 1, 32, 8, 512, 1024, 128, 0),
    CASE(LLM, false, "attention/prefill/q512/k1024/f16", attention, F16, 1, 32, 8, 512, 1024, 128,
         0),
    CASE(LLM, false, "attention/causal/q1225/k1225/f16", attention, F16, 1, 32, 8, 1225, 1225, 128,
         BENCH_CAUSAL),
    CASE(LLM, false, "kv_append/1x8x128", kv_append, F16, 1, 8, 128, 1280),
    CASE(LLM, true, "kv_append/512x8x128", kv_append, F16, 512, 8, 128, 1280),
    CASE(LLM, false, "rope/1x32x128", rope, F32, 1, 32, 128),
    CASE(LLM, true, "rope/512x32x128", rope, F32, 512, 32, 128),

    CASE(LLM, true, "rms_norm/1x4096", rms_norm, F32, 1, 4096),
    CASE(LLM, true, "rms_norm/512x4096", rms_norm, F32, 512, 4096),
    CASE(LLM, false, "silu_mul/1x14336", silu_mul, F32, 1, 14336),
    CASE(LLM, true, "silu_mul/512x14336", silu_mul, F32, 512, 14336),
    CASE(LLM, false, "silu/512x14336", silu, F32, 512, 14336),
    CASE(LLM, true, "add/512x4096", add, F32, 512, 4096, 512),
    CASE(LLM, false, "mul/512x4096", mul, F32, 512, 4096, 512),
    CASE(LLM, false, "scale/512x4096", scale, F32, 512, 4096),

    CASE(LLM, false, "embedding/f16/512", embedding, F16, 92544, 4096, 512),
    CASE(LLM, false, "embedding/nf4/512", embedding, NF4, 92544, 4096, 512),
    CASE(LLM, false, "gather_rows/1225x4096", gather_rows, F32, 1290, 4096, 1225),
    CASE(LLM, true, "scatter_rows/1225x4096", scatter_rows, F32, 1290, 4096, 1225),
    CASE(LLM, false, "scatter_add_rows/1225x4096", scatter_add_rows, F32, 1290, 4096, 1225),

    CASE(LLM, true, "softmax/4x92544", softmax, F32, 4, 92544),
    CASE(LLM, false, "log_softmax/4x92544", log_softmax, F32, 4, 92544),
    CASE(LLM, true, "argmax/1x92544", argmax, F32, 1, 92544),
    CASE(LLM, false, "topk/1x92544/k50", topk, F32, 1, 92544, 50),
    CASE(LLM, false, "topk/4x92544/k1024", topk, F32, 4, 92544, 1024),
    CASE(LLM, false, "sum/4x92544", sum, F32, 4, 92544),
    CASE(LLM, false, "mean/512x4096", mean, F32, 512, 4096),
    CASE(LLM, false, "max/4x92544", max, F32, 4, 92544),
    CASE(LLM, false, "sum_squares/512x4096", sum_squares, F32, 512, 4096),

    CASE(LLM, true, "quantize/nf4/4096x4096", quantize, NF4, 4096, 4096),
    CASE(LLM, false, "quantize/nf4x2/4096x4096", quantize, NF4X2, 4096, 4096),
    CASE(LLM, false, "quantize/q8_0/4096x4096", quantize, Q8_0, 4096, 4096),
    CASE(LLM, true, "dequantize/nf4/4096x4096", dequantize, NF4, 4096, 4096),
    CASE(LLM, false, "dequantize/nf4x2/4096x4096", dequantize, NF4X2, 4096, 4096),
    CASE(LLM, false, "dequantize/q8_0/4096x4096", dequantize, Q8_0, 4096, 4096),
    CASE(LLM, false, "cast/f16/4096x4096", cast, F32, 4096, 4096),
    CASE(LLM, false, "fill/512x4096", fill, F32, 512, 4096),
    CASE(LLM, false, "adamw_step/256x4096", adamw_step, F32, 256, 4096),
    CASE(LLM, false, "grad_norm/256x4096", grad_norm, F32, 256, 4096),

    /* ---- The vision tower ---- */

    CASE(VIT, true, "conv2d/patch14/3x490x490", conv2d, F16, 3, 490, 1024, 14, 14, 0),
    LINEAR(VIT, false, "f16", F16, 1024, 1024, 1226),
    CASE(VIT, true, "linear_fused/quick_gelu/4096x1024", linear_fused, F16, 1226, 4096, 1024,
         CR_ACTIVATION_QUICK_GELU, 0, 0, 0, 0),
    CASE(VIT, false, "linear_fused/residual/1024x4096", linear_fused, F16, 1226, 1024, 4096, 0, 0,
         0, 0, 1),
    CASE(VIT, true, "attention/vit/q1226/h16/d64", attention, F32, 1, 16, 16, 1226, 1226, 64, 0),
    CASE(VIT, true, "layer_norm/1226x1024", layer_norm, F32, 1226, 1024),
    CASE(VIT, false, "quick_gelu/1226x4096", quick_gelu, F32, 1226, 4096),
    CASE(VIT, false, "permute/1226x16x64", permute, F32, 1, 1226, 16, 64),
    CASE(VIT, false, "slice/1225x1024", slice, F32, 1, 1226, 1, 1024, 1225),
    CASE(VIT, false, "concat/2x613x1024", concat, F32, 1, 613, 1, 1024),
    CASE(VIT, false, "resize/bicubic/1024x24x24/35", resize, F32, 1024, 24, 35,
         CR_INTERPOLATION_BICUBIC),

    /* ---- Segmentation ---- */

    CASE(SWIN, false, "conv2d/patch4/3x384x384", conv2d, F16, 3, 384, 192, 4, 4, 0),
    CASE(SWIN, false, "conv2d/3x3/256x96x96", conv2d, F16, 256, 96, 256, 3, 1, 1),
    CASE(SWIN, false, "conv2d/1x1/192x96x96", conv2d, F16, 192, 96, 256, 1, 1, 0),
    CASE(SWIN, false, "conv2d/1x1/1536x12x12", conv2d, F16, 1536, 12, 256, 1, 1, 0),
    LINEAR(SWIN, false, "f16", F16, 576, 192, 9216),
    CASE(SWIN, false, "linear_fused/gelu/768x192", linear_fused, F16, 9216, 768, 192,
         CR_ACTIVATION_GELU, 0, 0, 0, 0),
    LINEAR(SWIN, false, "f16", F16, 1152, 384, 2304),
    LINEAR(SWIN, false, "f16", F16, 2304, 768, 576),
    CASE(SWIN, true, "linear_fused/gelu/3072x768", linear_fused, F16, 576, 3072, 768,
         CR_ACTIVATION_GELU, 0, 0, 0, 0),
    LINEAR(SWIN, false, "f16", F16, 4608, 1536, 144),
    LINEAR(SWIN, false, "f16", F16, 256, 256, 3024),
    LINEAR(SWIN, false, "f16", F16, 2048, 256, 100),
    WINDOW(64, 6),
    WINDOW(16, 12),
    WINDOW(4, 24),
    WINDOW(1, 48),
    CASE(SWIN, false, "attention/shifted/b64/h6/d32", attention, F32, 64, 6, 6, 144, 144, 32,
         BENCH_BIASES),
    CASE(SWIN, false, "attention/window7/b64/h3/d32", attention, F32, 64, 3, 3, 49, 49, 32,
         BENCH_BIAS),
    CASE(SWIN, false, "attention/masked/q100/k2304/h8/d32", attention, F32, 1, 8, 8, 100, 2304, 32,
         BENCH_MASK),
    CASE(SWIN, false, "layer_norm/9216x192", layer_norm, F32, 9216, 192),
    CASE(SWIN, false, "layer_norm/144x1536", layer_norm, F32, 144, 1536),
    CASE(SWIN, false, "gelu/9216x768", gelu, F32, 9216, 768),
    CASE(SWIN, false, "roll/96x96x192", roll, F32, 1, 96, 96, 192, 6),
    CASE(SWIN, false, "pad/90x90x192/6", pad, F32, 1, 90, 90, 192, 6),
    CASE(SWIN, false, "gather_rows/55296x32", gather_rows, F32, 55297, 32, 55296),
    CASE(SWIN, false, "permute/64x144x6x32", permute, F32, 64, 144, 6, 32),
    CASE(SWIN, false, "permute/1x96x96x256", permute, F32, 1, 96, 96, 256),
    CASE(SWIN, true, "permute/8x12x8x2304", permute, F32, 8, 12, 8, 2304),
    CASE(SWIN, true, "ms_deform_attn/3024x8x32/p4", ms_deform_attn, F32, 3024, 8, 32, 4, 12, 24,
         48),
    CASE(SWIN, false, "group_norm/256x48x48/g32", group_norm, F32, 256, 48, 32),
    CASE(SWIN, false, "group_norm/256x96x96/g32", group_norm, F32, 256, 96, 32),
    CASE(SWIN, false, "resize/bilinear/256x48x48/96", resize, F32, 256, 48, 96,
         CR_INTERPOLATION_BILINEAR),
    CASE(SWIN, true, "resize/bilinear/100x96x96/384", resize, F32, 100, 96, 384,
         CR_INTERPOLATION_BILINEAR),
    CASE(SWIN, false, "resize/nearest/100x96x96/48", resize, F32, 100, 96, 48,
         CR_INTERPOLATION_NEAREST),
    CASE(SWIN, false, "matmul/100x9216x256", matmul, F32, 1, 100, 9216, 256),
    CASE(SWIN, false, "sigmoid/100x9216", sigmoid, F32, 100, 9216),
    CASE(SWIN, false, "relu/3024x1024", relu, F32, 3024, 1024),
};

const size_t bench_case_count = sizeof(bench_cases) / sizeof(bench_cases[0]);
