/* SPDX-License-Identifier: MIT */
/* write.c: JSON for people to read. */
#include "pipeline/pipeline.h"

#define WIDTH 100 /* columns that a line of several values may reach */
#define INDENT 2

static void write_scalar(struct cr_text *text, const cJSON *item)
{
    char number[64]; /* cJSON prints a point whatever the locale says */
    if (cJSON_IsString(item))
        cr_json_quote(text, item->valuestring);
    else if (cJSON_PrintPreallocated((cJSON *)(uintptr_t)item, number, sizeof(number), false))
        cr_text_add(text, number);
    else
        text->failed = true;
}

/* Write the item on the line; false as soon as that would lead beyond `end` bytes of text. */
static bool write_inline(struct cr_text *text, const cJSON *item, size_t end)
{
    bool is_object = cJSON_IsObject(item);
    if (!is_object && !cJSON_IsArray(item)) {
        write_scalar(text, item);
        return text->size <= end;
    }
    if (item->child == NULL) {
        cr_text_add(text, is_object ? "{}" : "[]");
        return text->size <= end;
    }
    cr_text_add(text, is_object ? "{ " : "[");
    const cJSON *child;
    cJSON_ArrayForEach (child, item) {
        if (child != item->child)
            cr_text_add(text, ", ");
        if (is_object) {
            cr_json_quote(text, child->string);
            cr_text_add(text, ": ");
        }
        if (text->failed || !write_inline(text, child, end))
            return false;
    }
    cr_text_add(text, is_object ? " }" : "]");
    return text->size <= end;
}

static void new_line(struct cr_text *text, int depth)
{
    cr_text_printf(text, "\n%*s", INDENT * depth, "");
}

/* `line` is where the current line begins. */
static void write_item(struct cr_text *text, const cJSON *item, int depth, size_t line);

static void write_members(struct cr_text *text, const cJSON *item, int depth)
{
    bool is_object = cJSON_IsObject(item);
    cr_text_add(text, is_object ? "{" : "[");
    const cJSON *child;
    cJSON_ArrayForEach (child, item) {
        new_line(text, depth + 1);
        size_t line = text->size - (size_t)(INDENT * (depth + 1));
        if (is_object) {
            cr_json_quote(text, child->string);
            cr_text_add(text, ": ");
        }
        if (text->failed)
            return;
        write_item(text, child, depth + 1, line);
        if (child->next != NULL)
            cr_text_add(text, ",");
    }
    new_line(text, depth);
    cr_text_add(text, is_object ? "}" : "]");
}

static void write_item(struct cr_text *text, const cJSON *item, int depth, size_t line)
{
    bool is_leaf = item->child == NULL;
    size_t start = text->size;
    /* One byte is left for a comma; the document itself is never put on one line. */
    if (is_leaf || (depth > 0 && write_inline(text, item, line + WIDTH - 1))) {
        if (is_leaf)
            write_inline(text, item, SIZE_MAX);
        return;
    }
    if (text->failed)
        return;
    text->size = start;
    text->data[start] = '\0';
    write_members(text, item, depth);
}

void cr_json_write(struct cr_text *text, const cJSON *item)
{
    cr_text_add(text, "");
    write_item(text, item, 0, text->size);
    cr_text_add(text, "\n");
}
