/* SPDX-License-Identifier: MIT */
#include <crayon/memory.h>
#include <math.h>
#include <stdio.h>

#include "layout.h"

static void count_segment(struct legend *legend, const struct surveyed *segment)
{
    size_t i = 0;
    while (i < legend->count && legend->entries[i].label != segment->label)
        i++;
    struct legend_entry *entry = &legend->entries[i];
    if (i == legend->count) {
        legend->count++;
        *entry = (struct legend_entry){.label = segment->label, .thing = segment->thing};
    }
    entry->segments++;
    entry->crowds += segment->crowd;
}

static void name_entry(struct legend_entry *entry)
{
    const struct cr_category *category = cr_coco_category(entry->label);
    const char *name = category != NULL ? category->short_name : "unknown";
    int length = snprintf(entry->text, sizeof(entry->text), "%s", name);
    size_t rest = sizeof(entry->text) - (size_t)length;
    char *end = entry->text + length;
    if (entry->crowds > 0)
        snprintf(end, rest, " \303\227 %lld, %lld crowd%s", (long long)entry->segments,
                 (long long)entry->crowds, entry->crowds > 1 ? "s" : "");
    else if (entry->segments > 1)
        snprintf(end, rest, " \303\227 %lld", (long long)entry->segments);
}

int legend_create(struct legend *legend, const struct survey *survey, struct cr_error *err)
{
    size_t bytes = (CR_COCO_LABELS + 1) * sizeof(*legend->entries);
    *legend = (struct legend){.entries = cr_malloc(bytes)};
    if (legend->entries == NULL)
        return cr_fail_memory(err, bytes);
    for (int things = 1; things >= 0; things--)
        for (size_t i = 0; i < survey->count; i++)
            if (survey->segments[i].area > 0 && survey->segments[i].thing == (things != 0))
                count_segment(legend, &survey->segments[i]);
    for (size_t i = 0; i < legend->count; i++)
        name_entry(&legend->entries[i]);
    return 0;
}

void legend_finish(struct legend *legend)
{
    cr_free(legend->entries);
    *legend = (struct legend){0};
}

static size_t columns_for(size_t count, size_t rows)
{
    return (count + rows - 1) / rows;
}

/* Rows and columns, where things and stuff have columns of their own unless there is one only. */
struct table {
    size_t things, stuff, rows, columns;
};

/* The fewest rows with which all fit into `columns`. */
static void fit_columns(struct table *table, size_t columns)
{
    table->rows = 1;
    if (columns == 1)
        table->rows = table->things + table->stuff;
    else
        while (columns_for(table->things, table->rows) + columns_for(table->stuff, table->rows) >
               columns)
            table->rows++;
    table->columns = columns;
}

static void fit_rows(struct table *table, size_t rows)
{
    if (table->things + table->stuff <= rows) {
        fit_columns(table, 1);
        return;
    }
    table->rows = rows;
    table->columns = columns_for(table->things, rows) + columns_for(table->stuff, rows);
}

static void set_places(struct legend *legend, const struct table *table, double x, double y,
                       double column)
{
    size_t first_stuff =
        table->columns == 1 ? table->things : columns_for(table->things, table->rows) * table->rows;
    for (size_t i = 0; i < legend->count; i++) {
        size_t cell = i < table->things ? i : first_stuff + i - table->things;
        legend->entries[i].x = x + (double)(cell / table->rows) * column;
        legend->entries[i].y = y + (double)(cell % table->rows) * legend->row;
    }
}

void legend_arrange(struct legend *legend, struct cr_size picture,
                    const struct overlay_style *style)
{
    double margin = ceil(style->text * 0.9), above = ceil(margin * 0.8), widest = 0;
    struct table table = {0};
    for (size_t i = 0; i < legend->count; i++) {
        widest = fmax(widest, legend->entries[i].width);
        table.things += legend->entries[i].thing;
    }
    table.stuff = legend->count - table.things;
    legend->row = ceil(style->text * 1.6);
    legend->swatch = ceil(style->text);
    double column = ceil(legend->swatch + style->text * 1.85 + widest);
    if (picture.height > 2 * (int64_t)picture.width) {
        fit_rows(&table, (size_t)fmax(1, (picture.height - 2 * above) / legend->row));
        set_places(legend, &table, picture.width + margin, above, column);
    } else {
        fit_columns(&table, (size_t)fmax(1, (picture.width - 2 * margin) / column));
        set_places(legend, &table, margin, picture.height + above, column);
    }
    legend->size = picture;
    for (size_t i = 0; i < legend->count; i++) {
        int32_t right = (int32_t)(legend->entries[i].x + column);
        int32_t bottom = (int32_t)(legend->entries[i].y + legend->row + above);
        legend->size.width = right > legend->size.width ? right : legend->size.width;
        legend->size.height = bottom > legend->size.height ? bottom : legend->size.height;
    }
}
