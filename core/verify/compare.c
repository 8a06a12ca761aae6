/* SPDX-License-Identifier: MIT */
/* compare.c: outputs against what is expected of them. */
#include <math.h>
#include <string.h>

#include <crayon/memory.h>

#include "pipeline/check.h"
#include "tensor/reference.h"
#include "verify/case.h"

/* What a zero reference allows in place of a relative error. */
#define ZERO_ABSOLUTE ((double)1e-7f)

/* ---- The outcome ---- */

/* How far two things are apart. */
struct distance {
    double difference, reference; /* sums of squares */
    double largest;
    double mismatches;
    bool has_nan, wants_nan;
};

static void set_problem(struct verify_case *c, struct cr_compared *compared, const char *format,
                        ...) CR_PRINTF(3, 4);

static void set_problem(struct verify_case *c, struct cr_compared *compared, const char *format,
                        ...)
{
    struct cr_error text = CR_ERROR_INIT;
    va_list args;
    va_start(args, format);
    cr_failv(&text, CR_ERR_FORMAT, format, args);
    va_end(args);
    cr_free(compared->problem);
    compared->problem = cr_strdup(text.message);
    compared->compared = true;
    compared->passed = false;
    c->no_memory = c->no_memory || compared->problem == NULL;
}

static double relative_error(const struct distance *distance)
{
    if (distance->difference == 0)
        return 0;
    if (distance->reference > 0)
        return sqrt(distance->difference) / sqrt(distance->reference);
    return distance->largest <= ZERO_ABSOLUTE ? 0 : INFINITY;
}

static void judge(struct verify_case *c, struct cr_compared *compared,
                  const struct distance *distance)
{
    const double errors[CR_BOUND_COUNT] = {
        [CR_BOUND_RELATIVE] = relative_error(distance),
        [CR_BOUND_ABSOLUTE] = distance->largest,
        [CR_BOUND_EXACT] = distance->mismatches,
        [CR_BOUND_MISMATCHES] = distance->mismatches,
    };
    if (distance->has_nan) {
        set_problem(c, compared, "there is a NaN in %s",
                    distance->wants_nan ? "what is expected" : "it");
        return;
    }
    compared->compared = compared->passed = true;
    for (int kind = 0; kind < CR_BOUND_COUNT; kind++) {
        struct cr_bound *bound = &compared->bounds[kind];
        if (!bound->given)
            continue;
        bound->error = errors[kind];
        bound->holds = bound->error <= bound->limit;
        compared->passed = compared->passed && bound->holds;
    }
}

/* Texts, maps and tokens have no size of an error: only "exact" and "mismatches" suit them. */
static bool bounds_suit(struct verify_case *c, struct cr_compared *compared, enum cr_type type)
{
    if (!compared->bounds[CR_BOUND_RELATIVE].given && !compared->bounds[CR_BOUND_ABSOLUTE].given)
        return true;
    set_problem(c, compared, "%s has no size of an error: \"exact\" or \"mismatches\" suit it",
                cr_type_words(type));
    return false;
}

/* ---- Numbers ---- */

struct numbers {
    enum cr_dtype dtype;
    size_t count;
    void *data;
};

static int read_numbers(struct numbers *out, const struct cr_tensor *tensor, struct cr_error *err)
{
    out->dtype = cr_tensor_dtype(tensor);
    out->count = (size_t)cr_tensor_elements(tensor);
    size_t bytes = out->count * cr_dtype_size(out->dtype);
    out->data = cr_malloc(bytes);
    if (out->data == NULL)
        return cr_fail_memory(err, bytes);
    return cr_tensor_read(tensor, out->data, bytes, err);
}

static double number_at(const struct numbers *numbers, size_t index)
{
    switch (numbers->dtype) {
    case CR_DTYPE_F32:
        return (double)((const float *)numbers->data)[index];
    case CR_DTYPE_F16:
        return cr_half_number(((const uint16_t *)numbers->data)[index]);
    case CR_DTYPE_I32:
        return ((const int32_t *)numbers->data)[index];
    default:
        return ((const uint8_t *)numbers->data)[index];
    }
}

static void add_pair(struct distance *distance, double got, double wanted)
{
    distance->wants_nan = distance->wants_nan || isnan(wanted);
    distance->has_nan = distance->has_nan || isnan(got) || isnan(wanted);
    if (got == wanted && isinf(wanted)) /* beside it every difference would be small */
        return;
    distance->reference += wanted * wanted;
    if (got == wanted)
        return;
    double difference = got - wanted;
    distance->difference += difference * difference;
    distance->largest = fmax(distance->largest, fabs(difference));
    distance->mismatches++;
}

static bool is_whole(const struct cr_tensor *tensor)
{
    enum cr_dtype dtype = cr_tensor_dtype(tensor);
    return dtype == CR_DTYPE_I32 || dtype == CR_DTYPE_U8;
}

/* Shapes agree after leading extents of 1; maps of whole numbers are told by their count. */
static bool shapes_agree(const struct cr_tensor *a, const struct cr_tensor *b)
{
    if (is_whole(a) && is_whole(b))
        return cr_tensor_elements(a) == cr_tensor_elements(b);
    int i = 0, j = 0;
    while (i < cr_tensor_rank(a) && cr_tensor_extent(a, i) == 1)
        i++;
    while (j < cr_tensor_rank(b) && cr_tensor_extent(b, j) == 1)
        j++;
    if (cr_tensor_rank(a) - i != cr_tensor_rank(b) - j)
        return false;
    for (; i < cr_tensor_rank(a); i++, j++)
        if (cr_tensor_extent(a, i) != cr_tensor_extent(b, j))
            return false;
    return true;
}

/* "f32 [2,3]" */
static const char *shape_words(char text[96], const struct cr_tensor *tensor)
{
    struct cr_error words = CR_ERROR_INIT;
    struct cr_text shape = CR_TEXT_INIT;
    for (int i = 0; i < cr_tensor_rank(tensor); i++)
        cr_text_printf(&shape, "%s%lld", i > 0 ? "," : "", (long long)cr_tensor_extent(tensor, i));
    cr_fail(&words, CR_ERR_FORMAT, "%s [%s]", cr_dtype_name(cr_tensor_dtype(tensor)),
            shape.data != NULL ? shape.data : "");
    cr_text_finish(&shape);
    memcpy(text, words.message, 95);
    text[95] = '\0';
    return text;
}

static void compare_numbers(struct verify_case *c, struct cr_compared *compared,
                            const struct cr_tensor *got, const struct cr_tensor *wanted,
                            struct cr_error *err)
{
    struct numbers a = {.data = NULL}, b = {.data = NULL};
    struct distance distance = {0};
    char got_words[96], wanted_words[96];
    if (!shapes_agree(got, wanted)) {
        set_problem(c, compared, "its shape is %s, not %s", shape_words(got_words, got),
                    shape_words(wanted_words, wanted));
        return;
    }
    if (read_numbers(&a, got, err) == 0 && read_numbers(&b, wanted, err) == 0) {
        for (size_t i = 0; i < a.count; i++)
            add_pair(&distance, number_at(&a, i), number_at(&b, i));
        judge(c, compared, &distance);
    }
    cr_free(a.data);
    cr_free(b.data);
}

/* ---- Pictures, texts ---- */

static void compare_images(struct distance *distance, const struct cr_image *got,
                           const struct cr_image *wanted)
{
    struct cr_size size = cr_image_size(got);
    const uint8_t *a = cr_image_pixels(got), *b = cr_image_pixels(wanted);
    for (size_t i = 0; i < 3 * (size_t)size.height * (size_t)size.width; i++)
        add_pair(distance, a[i], b[i]);
}

static bool same_size(struct cr_size a, struct cr_size b)
{
    return a.height == b.height && a.width == b.width;
}

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void show_texts(struct verify_case *c, struct cr_compared *compared, const char *got,
                       const char *wanted)
{
    struct cr_text text = CR_TEXT_INIT;
    cr_text_add(&text, "it is ");
    if (got == NULL)
        cr_text_add(&text, "null");
    else
        cr_json_quote(&text, got);
    cr_text_add(&text, ", not ");
    if (wanted == NULL)
        cr_text_add(&text, "null");
    else
        cr_json_quote(&text, wanted);
    if (text.failed)
        c->no_memory = true;
    else
        set_problem(c, compared, "%s", text.data);
    cr_text_finish(&text);
}

/* ---- Panoptic maps ---- */

static int32_t id_of(int32_t id)
{
    return id > 0 ? id : 0;
}

static bool same_segments(const struct cr_panoptic *a, const struct cr_panoptic *b)
{
    bool same = cr_panoptic_count(a) == cr_panoptic_count(b);
    for (size_t i = 0; i < cr_panoptic_count(a) && same; i++) {
        const struct cr_segment *x = cr_panoptic_segment(a, i), *y = cr_panoptic_segment(b, i);
        same = x->id == y->id && x->label == y->label;
    }
    return same;
}

/* "(1, 17) (2, 0)" */
static void add_segments(struct cr_text *text, const struct cr_panoptic *panoptic)
{
    for (size_t i = 0; i < cr_panoptic_count(panoptic) && i < 20; i++) {
        const struct cr_segment *segment = cr_panoptic_segment(panoptic, i);
        cr_text_printf(text, "%s(%d, %d)", i > 0 ? " " : "", segment->id, segment->label);
    }
    cr_text_add(text, cr_panoptic_count(panoptic) == 0   ? "none"
                      : cr_panoptic_count(panoptic) > 20 ? " ..."
                                                         : "");
}

static bool compare_panoptic(struct verify_case *c, struct cr_compared *compared,
                             struct distance *distance, const struct cr_panoptic *got,
                             const struct cr_panoptic *wanted)
{
    struct cr_size size = cr_panoptic_size(got), other = cr_panoptic_size(wanted);
    const int32_t *a = cr_panoptic_ids(got), *b = cr_panoptic_ids(wanted);
    if (!same_size(size, other)) {
        set_problem(c, compared, "the map has %d x %d pixels, not %d x %d", size.height, size.width,
                    other.height, other.width);
        return false;
    }
    if (!same_segments(got, wanted)) {
        struct cr_text text = CR_TEXT_INIT;
        add_segments(&text, got);
        cr_text_add(&text, ", not ");
        add_segments(&text, wanted);
        c->no_memory = c->no_memory || text.failed;
        set_problem(c, compared, "the segments (id, label) are %s",
                    text.data != NULL ? text.data : "");
        cr_text_finish(&text);
        return false;
    }
    for (size_t i = 0; i < (size_t)size.height * (size_t)size.width; i++)
        add_pair(distance, id_of(a[i]), id_of(b[i]));
    return true;
}

/* ---- Tokens ---- */

/* A batch that was padded on the left got the same id everywhere, and its longest row got none. */
struct padding {
    bool is_known, may_pad;
    int32_t id;
};

static size_t longest(const struct cr_value *value)
{
    size_t most = 0;
    for (size_t i = 0; i < cr_value_count(value); i++) {
        size_t count;
        cr_value_tokens(value, i, &count);
        most = count > most ? count : most;
    }
    return most;
}

/* Can these ids, which a row has before those of the other one, be padding? */
static bool is_padding(struct padding *padding, const int32_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!padding->is_known) {
            padding->is_known = true;
            padding->id = ids[i];
        }
        if (ids[i] != padding->id)
            return false;
    }
    return count == 0 || padding->may_pad;
}

static bool compare_row(struct distance *distance, struct padding *padding,
                        const struct cr_value *got, const struct cr_value *wanted, size_t index)
{
    size_t m, n;
    const int32_t *a = cr_value_tokens(got, index, &m), *b = cr_value_tokens(wanted, index, &n);
    size_t common = m < n ? m : n;
    if (!is_padding(padding, m > n ? a : b, (m > n ? m : n) - common))
        return false;
    for (size_t i = 0; i < common; i++)
        add_pair(distance, a[m - common + i], b[n - common + i]);
    return true;
}

static void add_ids(struct cr_text *text, const struct cr_value *value, size_t index)
{
    size_t count;
    const int32_t *ids = cr_value_tokens(value, index, &count);
    cr_text_add(text, "[");
    for (size_t i = 0; i < count && i < 24; i++)
        cr_text_printf(text, "%s%d", i > 0 ? "," : "", ids[i]);
    cr_text_add(text, count > 24 ? ",...]" : "]");
}

static void show_rows(struct verify_case *c, struct cr_compared *compared,
                      const struct cr_value *got, const struct cr_value *wanted, size_t index)
{
    struct cr_text text = CR_TEXT_INIT;
    add_ids(&text, got, index);
    cr_text_add(&text, ", not ");
    add_ids(&text, wanted, index);
    c->no_memory = c->no_memory || text.failed;
    set_problem(c, compared, "row %zu is %s", index, text.data != NULL ? text.data : "");
    cr_text_finish(&text);
}

static void compare_tokens(struct verify_case *c, struct cr_compared *compared,
                           const struct cr_value *got, const struct cr_value *wanted)
{
    struct distance distance = {0};
    struct padding padding = {.may_pad = longest(got) == longest(wanted)};
    for (size_t i = 0; i < cr_value_count(got); i++) {
        double before = distance.mismatches;
        if (!compare_row(&distance, &padding, got, wanted, i)) {
            show_rows(c, compared, got, wanted, i);
            return;
        }
        if (distance.mismatches > before && compared->bounds[CR_BOUND_EXACT].given) {
            show_rows(c, compared, got, wanted, i);
            return;
        }
    }
    judge(c, compared, &distance);
}

/* ---- Values ---- */

static void compare_items(struct verify_case *c, struct cr_compared *compared,
                          const struct cr_value *got, const struct cr_value *wanted)
{
    struct distance distance = {0};
    for (size_t i = 0; i < cr_value_count(got); i++) {
        if (cr_value_type(got) == CR_TYPE_TEXT) {
            const char *a = cr_value_text(got, i), *b = cr_value_text(wanted, i);
            if (!same_text(a, b)) {
                show_texts(c, compared, a, b);
                return;
            }
        } else if (cr_value_type(got) == CR_TYPE_PANOPTIC) {
            if (!compare_panoptic(c, compared, &distance, cr_value_panoptic(got, i),
                                  cr_value_panoptic(wanted, i)))
                return;
        } else {
            const struct cr_image *a = cr_value_image(got, i), *b = cr_value_image(wanted, i);
            struct cr_size x = cr_image_size(a), y = cr_image_size(b);
            if (!same_size(x, y)) {
                set_problem(c, compared, "the picture has %d x %d pixels, not %d x %d", x.height,
                            x.width, y.height, y.width);
                return;
            }
            compare_images(&distance, a, b);
        }
    }
    judge(c, compared, &distance);
}

static void compare_values(struct verify_case *c, struct cr_compared *compared,
                           const struct cr_value *got, const struct cr_value *wanted,
                           struct cr_error *err)
{
    enum cr_type type = cr_value_type(got);
    if (type == CR_TYPE_TENSOR) {
        compare_numbers(c, compared, cr_value_tensor(got), cr_value_tensor(wanted), err);
        return;
    }
    if (type != CR_TYPE_IMAGE && !bounds_suit(c, compared, type))
        return;
    if (cr_value_count(got) != cr_value_count(wanted))
        set_problem(c, compared, "it has %zu items, not %zu", cr_value_count(got),
                    cr_value_count(wanted));
    else if (type == CR_TYPE_TOKENS)
        compare_tokens(c, compared, got, wanted);
    else
        compare_items(c, compared, got, wanted);
}

static const cJSON *value_of(const struct verify_case *c, const struct cr_compared *compared)
{
    return cr_json_get(cr_json_get(cr_json_get(c->json, "expected"), compared->name), "value");
}

static void note_failure(struct verify_case *c, const struct cr_compared *compared,
                         const struct cr_error *err)
{
    if (err->code != CR_OK)
        verify_failure(c, VERIFY_PLACE("expected", compared->name, "value"), err);
}

void verify_compare(struct verify_case *c, struct cr_compared *compared,
                    const struct cr_value *value)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_value *wanted = NULL;
    if (value == NULL) {
        set_problem(c, compared, "it is missing");
        return;
    }
    if (verify_value(c, value_of(c, compared), cr_value_type(value), &wanted, &err) == 0)
        compare_values(c, compared, value, wanted, &err);
    note_failure(c, compared, &err);
    cr_value_unref(&wanted);
}

void verify_compare_tensor(struct verify_case *c, struct cr_compared *compared,
                           const struct cr_tensor *tensor)
{
    struct cr_error err = CR_ERROR_INIT;
    struct cr_tensor *wanted = NULL;
    bool is_row;
    if (verify_tensor(c, value_of(c, compared), NULL, &wanted, &is_row, &err) == 0)
        compare_numbers(c, compared, tensor, wanted, &err);
    note_failure(c, compared, &err);
    cr_tensor_unref(&wanted);
}
