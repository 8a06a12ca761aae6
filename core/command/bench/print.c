/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "command/bench/bench.h"
#include "command/common.h"
#include "command/devices/devices.h"
#include "config.h"

#define LINE_WIDTH 100

/* ---- For people ---- */

static void print_rate(const char *title, double rate, const char *unit)
{
    if (rate > 0)
        print("    %-14s  %7.1f %s\n", title, rate / 1e9, unit);
    else
        print("    %-14s  not known\n", title);
}

void bench_print_head(const struct cr_device_info *info, const struct cr_device_limits *limits)
{
    struct cr_text text = CR_TEXT_INIT;
    device_describe(&text, info);
    print("%s  %s\n    %s\n    crayon %s, commit %s\n", info->name, info->title,
          text.failed ? "" : text.data, cr_version(), CRAYON_COMMIT);
    cr_text_finish(&text);
    if ((info->flags & CR_DEVICE_SOFTWARE) != 0)
        print("    This driver computes on the processor: these are no speed figures.\n");
    print("\nlimits\n");
    print_rate("read", limits->read_bytes, "GB/s");
    print_rate("copy", limits->copy_bytes, "GB/s, read plus written");
    print_rate("fma", limits->multiply_adds, "GFLOP/s, from registers");
    print_rate("sgemm", limits->sgemm, "GFLOP/s, a large f32 product");
}

/* "12.3 us", in eight columns. */
static void print_time(double seconds)
{
    static const char *const units[] = {"ns", "us", "ms", "s "};
    double value = seconds * 1e9;
    int unit = 0;
    for (; unit < 3 && value >= 999.5; unit++)
        value /= 1000;
    print("  %5.*f %s", value < 9.995 ? 2 : value < 99.95 ? 1 : 0, value, units[unit]);
}

static void print_titles(const struct bench_table *table)
{
    print("  %-*s  %8s  %4s", table->name_width, "", "time", "+-");
    if (table->baseline)
        print("  %6s  %7s", "x time", "x share");
    else
        print("  %6s  %7s", "GB/s", "GFLOP/s");
    print("  %5s %-5s  variant\n", "share", "of");
}

/* The variant fills what is left of the line. */
static void print_variant(int used, const struct bench_result *result)
{
    const char *variant = result->composed ? "composed" : result->variant;
    int rest = LINE_WIDTH - used;
    print("%.*s\n", rest > 0 ? rest : 0, variant[0] != '\0' ? variant : "-");
}

static void print_ratio(int width, double is, double was)
{
    if (is > 0 && was > 0)
        print("  %*.2f", width, is / was);
    else
        print("  %*s", width, "-");
}

static void print_figures(const struct bench_table *table, const struct bench_result *result)
{
    int used = 2 + table->name_width + 2 + 8 + 2 + 4 + 2 + 6 + 2 + 7 + 2 + 5 + 1 + 5 + 2;
    print_time(result->seconds);
    double spread = 100 * (result->quartile3 - result->quartile1) / 2 / result->seconds;
    print("  %3.0f%%", spread < 999 ? spread : 999);
    if (table->baseline) {
        print_ratio(6, result->seconds, result->before);
        print_ratio(7, result->share, result->before_share);
    } else {
        print("  %6.1f  %7.1f", result->bytes / result->seconds / 1e9,
              result->operations / result->seconds / 1e9);
    }
    if (result->share > 0)
        print("  %4.0f%% %-5s  ", 100 * result->share, result->limit);
    else
        print("  %5s %-5s  ", "-", "");
    print_variant(used, result);
}

void bench_print_result(struct bench_table *table, const struct bench_result *result)
{
    if (table->model < 0) {
        print("\n");
        print_titles(table);
    }
    if ((int)result->c->model != table->model)
        print("%s%s\n", table->model < 0 ? "" : "\n", bench_model_title(result->c->model));
    table->model = (int)result->c->model;
    print("  %-*s", table->name_width, result->c->name);
    if (result->lacking)
        print("  the device has no such operation\n");
    else
        print_figures(table, result);
    flush_output(); /* whoever watches sees each as it comes */
}

/* ---- For machines ---- */

static void add_numbers(struct cr_text *json, size_t count, const char *const *keys,
                        const double *values)
{
    for (size_t i = 0; i < count; i++) {
        cr_text_add(json, i > 0 ? "," : "");
        add_number(json, keys[i], values[i]);
    }
}

static void add_limits(struct cr_text *json, const char *key, const struct cr_device_limits *limits)
{
    static const char *const keys[] = {"read_bytes", "copy_bytes", "multiply_adds", "sgemm"};
    const double values[] = {limits->read_bytes, limits->copy_bytes, limits->multiply_adds,
                             limits->sgemm};
    cr_text_printf(json, ",\n\"%s\":{", key);
    add_numbers(json, sizeof(keys) / sizeof(keys[0]), keys, values);
    cr_text_add(json, "}");
}

void bench_add_head(struct cr_text *json, const struct cr_device_info *info,
                    const struct cr_device_limits *limits)
{
    cr_text_add(json, "{\"crayon\":1,");
    add_member(json, "version", cr_version());
    cr_text_add(json, ",");
    add_member(json, "commit", CRAYON_COMMIT);
    cr_text_add(json, ",\n\"device\":{");
    device_add_json(json, info);
    cr_text_add(json, "}");
    add_limits(json, "limits", limits);
    cr_text_add(json, ",\n\"results\":[");
}

void bench_add_end(struct cr_text *json, const struct cr_device_limits *after)
{
    cr_text_add(json, "\n]");
    if (after->size > 0)
        add_limits(json, "limits_after", after);
    cr_text_add(json, "}\n");
}

static void add_figures(struct cr_text *json, const struct bench_result *result)
{
    static const char *const keys[] = {"seconds",
                                       "min",
                                       "q1",
                                       "q3",
                                       "max",
                                       "bytes",
                                       "operations",
                                       "bytes_per_second",
                                       "operations_per_second",
                                       "share"};
    const double values[] = {result->seconds,
                             result->least,
                             result->quartile1,
                             result->quartile3,
                             result->most,
                             result->bytes,
                             result->operations,
                             result->bytes / result->seconds,
                             result->operations / result->seconds,
                             result->share};
    if (result->composed)
        cr_text_add(json, "\"composed\":true,");
    add_member(json, "variant", result->variant);
    cr_text_printf(json, ",\"runs\":%d,\"repeats\":%lld,", result->runs,
                   (long long)result->repeats);
    add_numbers(json, sizeof(keys) / sizeof(keys[0]), keys, values);
    cr_text_add(json, ",");
    add_member(json, "limit", result->limit);
    if (result->before > 0) {
        cr_text_add(json, ",");
        add_number(json, "time_ratio", result->seconds / result->before);
    }
    if (result->before_share > 0 && result->share > 0) {
        cr_text_add(json, ",");
        add_number(json, "share_ratio", result->share / result->before_share);
    }
}

void bench_add_result(struct cr_text *json, const struct bench_result *result)
{
    cr_text_add(json, "\n{");
    add_member(json, "name", result->c->name);
    cr_text_add(json, ",");
    add_member(json, "operation", cr_op_name(result->c->kind->op));
    cr_text_add(json, ",");
    if (result->lacking)
        cr_text_add(json, "\"lacking\":true");
    else
        add_figures(json, result);
    cr_text_add(json, "}");
}
