/* SPDX-License-Identifier: MIT */
#include <ft2build.h>
#include FT_FREETYPE_H
#include FT_MODULE_H
#include FT_OUTLINE_H

#include <crayon/file.h>
#include <crayon/memory.h>

#include "base/paths.h"
#include "media/font.h"

#define MAX_FONT_BYTES ((size_t)16 << 20)
#define REPLACEMENT 0xFFFD

struct cr_font {
    struct FT_MemoryRec_ memory;
    FT_Library library;
    FT_Face face;
    char *data; /* the file, which the face reads from */
};

static void *allocate(FT_Memory memory, long bytes)
{
    (void)memory;
    return cr_malloc((size_t)bytes);
}

static void release(FT_Memory memory, void *block)
{
    (void)memory;
    cr_free(block);
}

static void *resize(FT_Memory memory, long current, long bytes, void *block)
{
    (void)memory;
    (void)current;
    return cr_realloc_array(block, (size_t)bytes, 1);
}

static int font_failure(struct cr_error *err, FT_Error code, const char *what)
{
    if (code == FT_Err_Out_Of_Memory)
        return cr_fail(err, CR_ERR_MEMORY, "out of memory in FreeType");
    return cr_fail(err, CR_ERR_FORMAT, "%s: not a usable font (FreeType error %d)", what, code);
}

static int load(struct cr_font *font, const char *name, struct cr_error *err)
{
    char *path = cr_data_path(name);
    if (path == NULL)
        return cr_fail(err, CR_ERR_NOT_FOUND,
                       "%s is missing; it lies in the build tree or in %s, where \"make install\" "
                       "puts it",
                       name, CRAYON_DATADIR);
    size_t size;
    int result = cr_file_read(path, MAX_FONT_BYTES, &font->data, &size, err);
    if (result == 0) {
        FT_Error code = FT_New_Library(&font->memory, &font->library);
        if (code == 0) {
            FT_Add_Default_Modules(font->library);
            code = FT_New_Memory_Face(font->library, (const FT_Byte *)font->data, (FT_Long)size, 0,
                                      &font->face);
        }
        if (code == 0 && !FT_IS_SCALABLE(font->face))
            code = FT_Err_Unknown_File_Format;
        if (code != 0)
            result = font_failure(err, code, path);
    }
    cr_free(path);
    return result;
}

int cr_font_open(struct cr_font **out, enum cr_weight weight, struct cr_error *err)
{
    *out = NULL;
    struct cr_font *font = cr_calloc(1, sizeof(*font));
    if (font == NULL)
        return cr_fail_memory(err, sizeof(*font));
    font->memory = (struct FT_MemoryRec_){NULL, allocate, release, resize};
    int result = load(
        font, weight == CR_WEIGHT_BOLD ? "fonts/DejaVuSans-Bold.ttf" : "fonts/DejaVuSans.ttf", err);
    if (result < 0)
        cr_font_close(&font);
    *out = font;
    return result;
}

void cr_font_close(struct cr_font **font)
{
    struct cr_font *old = *font;
    *font = NULL;
    if (old == NULL)
        return;
    if (old->library != NULL)
        FT_Done_Library(old->library);
    cr_free(old->data);
    cr_free(old);
}

/* The next character of UTF-8 text; a byte that is none counts as one unknown character. */
static FT_ULong next_character(const char **text)
{
    const unsigned char *at = (const unsigned char *)*text;
    int more = at[0] >= 0xF0 && at[0] < 0xF5   ? 3
               : at[0] >= 0xE0 && at[0] < 0xF0 ? 2
               : at[0] >= 0xC2 && at[0] < 0xE0 ? 1
                                               : 0;
    FT_ULong code = more == 0 ? at[0] : at[0] & (0x3Fu >> more);
    for (int i = 1; i <= more; i++) {
        if ((at[i] & 0xC0) != 0x80) {
            *text += 1;
            return REPLACEMENT;
        }
        code = code << 6 | (at[i] & 0x3Fu);
    }
    *text += more + 1;
    return more == 0 && at[0] >= 0x80 ? REPLACEMENT : code;
}

/* A glyph of a text, in font units. */
struct glyph {
    FT_UInt index;
    FT_Pos x; /* of its origin, from the start of the text */
};

/* Step to the next glyph; false at the end, when glyph->x is the advance of the whole text. */
static bool next_glyph(struct cr_font *font, const char **text, struct glyph *glyph)
{
    bool first = glyph->index == (FT_UInt)-1;
    FT_UInt last = glyph->index;
    if (!first)
        glyph->x += font->face->glyph->metrics.horiAdvance;
    if (**text == '\0')
        return false;
    glyph->index = FT_Get_Char_Index(font->face, next_character(text));
    FT_Vector kerning;
    if (!first && FT_HAS_KERNING(font->face) &&
        FT_Get_Kerning(font->face, last, glyph->index, FT_KERNING_UNSCALED, &kerning) == 0)
        glyph->x += kerning.x;
    return true;
}

/* ---- Outlines to paths ---- */

struct path {
    cairo_t *cairo;
    double x, y, scale;
    double last_x, last_y; /* where the pen is, in pixels */
    bool open;
};

static void to_pixels(const struct path *path, const FT_Vector *point, double *x, double *y)
{
    *x = path->x + (double)point->x * path->scale;
    *y = path->y - (double)point->y * path->scale;
}

static void pen_at(struct path *path, double x, double y)
{
    path->last_x = x;
    path->last_y = y;
}

static int move_to(const FT_Vector *to, void *user)
{
    struct path *path = user;
    double x, y;
    to_pixels(path, to, &x, &y);
    if (path->open)
        cairo_close_path(path->cairo);
    cairo_move_to(path->cairo, x, y);
    path->open = true;
    pen_at(path, x, y);
    return 0;
}

static int line_to(const FT_Vector *to, void *user)
{
    struct path *path = user;
    double x, y;
    to_pixels(path, to, &x, &y);
    cairo_line_to(path->cairo, x, y);
    pen_at(path, x, y);
    return 0;
}

/* A quadratic curve as the cubic one that it is. */
static int conic_to(const FT_Vector *control, const FT_Vector *to, void *user)
{
    struct path *path = user;
    double cx, cy, x, y;
    to_pixels(path, control, &cx, &cy);
    to_pixels(path, to, &x, &y);
    cairo_curve_to(path->cairo, (path->last_x + 2 * cx) / 3, (path->last_y + 2 * cy) / 3,
                   (x + 2 * cx) / 3, (y + 2 * cy) / 3, x, y);
    pen_at(path, x, y);
    return 0;
}

static int cubic_to(const FT_Vector *first, const FT_Vector *second, const FT_Vector *to,
                    void *user)
{
    struct path *path = user;
    double x1, y1, x2, y2, x, y;
    to_pixels(path, first, &x1, &y1);
    to_pixels(path, second, &x2, &y2);
    to_pixels(path, to, &x, &y);
    cairo_curve_to(path->cairo, x1, y1, x2, y2, x, y);
    pen_at(path, x, y);
    return 0;
}

static int load_glyph(struct cr_font *font, FT_UInt index, struct cr_error *err)
{
    FT_Error code = FT_Load_Glyph(font->face, index, FT_LOAD_NO_SCALE);
    return code == 0 ? 0 : font_failure(err, code, font->face->family_name);
}

int cr_font_measure(struct cr_font *font, const char *text, double size,
                    struct cr_text_extents *extents, struct cr_error *err)
{
    double scale = size / font->face->units_per_EM;
    struct glyph glyph = {(FT_UInt)-1, 0};
    while (next_glyph(font, &text, &glyph)) {
        int result = load_glyph(font, glyph.index, err);
        if (result < 0)
            return result;
    }
    *extents = (struct cr_text_extents){(double)glyph.x * scale, font->face->ascender * scale,
                                        -font->face->descender * scale};
    return 0;
}

int cr_font_trace(struct cr_font *font, cairo_t *cairo, const char *text, double x, double y,
                  double size, struct cr_error *err)
{
    static const FT_Outline_Funcs functions = {move_to, line_to, conic_to, cubic_to, 0, 0};
    double scale = size / font->face->units_per_EM;
    struct glyph glyph = {(FT_UInt)-1, 0};
    while (next_glyph(font, &text, &glyph)) {
        int result = load_glyph(font, glyph.index, err);
        if (result < 0)
            return result;
        struct path path = {
            .cairo = cairo, .x = x + (double)glyph.x * scale, .y = y, .scale = scale};
        FT_Error code = FT_Outline_Decompose(&font->face->glyph->outline, &functions, &path);
        if (code != 0)
            return font_failure(err, code, font->face->family_name);
        if (path.open)
            cairo_close_path(cairo);
    }
    return 0;
}
