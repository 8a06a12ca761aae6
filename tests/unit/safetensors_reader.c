/* SPDX-License-Identifier: MIT */
/* The reader of safetensors headers: each rule has a file that breaks it. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <crayon/memory.h>

#include "fault_sweep.h"
#include "model/safetensors.h"
#include "test.h"
#include "weights.h"

/* The error for a file without the path before it. */
static void assert_refused(const char *path, const char *message)
{
    struct cr_safetensors *file;
    struct cr_error err = CR_ERROR_INIT;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    off_t size = lseek(fd, 0, SEEK_END);
    int result = cr_safetensors_read(&file, fd, (uint64_t)size, "f", &err);
    close(fd);
    if (result == 0)
        fail_msg("accepted, though \"%s\"", message);
    assert_null(file);
    assert_text(message, err.message, message);
}

#define T(name, dtype, shape, offsets)                                                             \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static const struct {
    const char *header, *message;
    size_t data;
} hostile[] = {
    /* The header as such. */
    {"", "f: the header does not begin with '{'", 0},
    {" {}", "f: the header does not begin with '{'", 0},
    {"[]", "f: the header does not begin with '{'", 0},
    {"{", "f:1:2: expected a key in double quotes or '}', found the end of the text", 0},
    {"{}x", "f:1:3: expected nothing more after the end of the document, found 'x'", 0},
    {"{\"\xFF\":1}", "f:1:3: byte 0xFF is not UTF-8", 0},
    {"{\"\xC0\x80\":1}", "f:1:3: byte 0xC0 is not UTF-8", 0},
    {"{\"a\":1}", "f:1:6: tensor \"a\": has to be an object", 0},
    {"{\"a\":[[[[[[[[", "f:1:6: tensor \"a\": has to be an object", 0},
    /* Names. */
    {"{" T("a\\u0000", "U8", "[1]", "[0,1]") "}", "f:1:4: a string cannot hold \\u0000 here", 1},
    {"{" T("a\\n", "U8", "[1]", "[0,1]") "}",
     "f:1:2: the name of a tensor holds the control character U+000A", 1},
    {"{" T("\\u001b[2J", "U8", "[1]", "[0,1]") "}",
     "f:1:2: the name of a tensor holds the control character U+001B", 1},
    {"{" T("a\x7F", "U8", "[1]", "[0,1]") "}",
     "f:1:2: the name of a tensor holds the control character U+007F", 1},
    {"{" T("\xC2\x9B", "U8", "[1]", "[0,1]") "}",
     "f:1:2: the name of a tensor holds the control character U+009B", 1},
    {"{" T("", "U8", "[1]", "[0,1]") "}", "f:1:2: a tensor has an empty name", 1},
    {"{" T("a", "U8", "[1]", "[0,1]") "," T("a", "U8", "[1]", "[1,2]") "}",
     "f: two tensors are named \"a\"", 2},
    {"{" T("a", "U8", "[0]", "[0,0]") "," T("\\u0061", "U8", "[0]", "[0,0]") "}",
     "f: two tensors are named \"a\"", 0},
    /* Members. */
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}",
     "f:1:31: tensor \"a\": \"data_offsets\" is missing", 1},
    {"{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}",
     "f:1:40: tensor \"a\": \"shape\" is missing", 1},
    {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", "f:1:39: tensor \"a\": \"dtype\" is missing",
     1},
    {"{\"a\":{}}", "f:1:7: tensor \"a\": \"dtype\" is missing", 0},
    {"{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\"}}",
     "f:1:20: tensor \"a\": \"dtype\" stands there twice", 0},
    {"{\"a\":{\"dtype\":\"U8\",\"strides\":[1]}}",
     "f:1:20: tensor \"a\": the key \"strides\" is unknown; known are \"dtype\", \"shape\" and "
     "\"data_offsets\"",
     0},
    /* Types. */
    {"{" T("a", "Q4", "[1]", "[0,1]") "}",
     "f:1:15: tensor \"a\": the dtype \"Q4\" is unknown; known are BOOL, F4, F6_E2M3, F6_E3M2, U8, "
     "I8, F8_E5M2, F8_E4M3, F8_E8M0, I16, U16, F16, BF16, I32, U32, F32, C64, F64, I64, U64",
     1},
    {"{" T("a", "f16", "[1]", "[0,2]") "}",
     "f:1:15: tensor \"a\": the dtype \"f16\" is unknown; known are BOOL, F4, F6_E2M3, F6_E3M2, "
     "U8, "
     "I8, F8_E5M2, F8_E4M3, F8_E8M0, I16, U16, F16, BF16, I32, U32, F32, C64, F64, I64, U64",
     2},
    {"{\"a\":{\"dtype\":7}}", "f:1:15: tensor \"a\": \"dtype\" has to be a string", 0},
    /* Shapes. */
    {"{\"a\":{\"shape\":7}}", "f:1:15: tensor \"a\": \"shape\" has to be a list", 0},
    {"{" T("a", "U8", "[-1]", "[0,1]") "}",
     "f:1:29: tensor \"a\": extent 0 of \"shape\" has to be a whole number from 0 to 2^53 - 1", 1},
    {"{" T("a", "U8", "[1,1.0]", "[0,1]") "}",
     "f:1:31: tensor \"a\": extent 1 of \"shape\" has to be a whole number from 0 to 2^53 - 1", 1},
    {"{" T("a", "U8", "[1e0]", "[0,1]") "}",
     "f:1:29: tensor \"a\": extent 0 of \"shape\" has to be a whole number from 0 to 2^53 - 1", 1},
    {"{" T("a", "U8", "[9007199254740993]", "[0,1]") "}",
     "f:1:29: tensor \"a\": extent 0 of \"shape\" has to be a whole number from 0 to 2^53 - 1", 1},
    {"{" T("a", "U8", "[99999999999999999999]", "[0,1]") "}",
     "f:1:29: tensor \"a\": extent 0 of \"shape\" has to be a whole number from 0 to 2^53 - 1", 1},
    {"{" T("a", "U8", "[[1]]", "[0,1]") "}",
     "f:1:29: tensor \"a\": extent 0 of \"shape\" has to be a whole number from 0 to 2^53 - 1", 1},
    {"{" T("a", "U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]") "}",
     "f:1:45: tensor \"a\": its rank exceeds 8", 1},
    {"{" T("a", "F64", "[4294967296,4294967296]", "[0,0]") "}",
     "f:1:73: tensor \"a\": its shape makes more elements than can be counted", 0},
    {"{" T("a", "F32", "[2,2]", "[0,12]") "}",
     "f:1:56: tensor \"a\": its range holds 12 bytes, its shape of F32 takes 16", 12},
    {"{" T("a", "F4", "[3]", "[0,2]") "}",
     "f:1:52: tensor \"a\": 3 elements of F4 are no whole bytes", 2},
    /* Ranges. */
    {"{" T("a", "U8", "[1]", "[0]") "}",
     "f:1:49: tensor \"a\": \"data_offsets\" has to be [start, end], whole numbers from 0 to 2^53 "
     "- 1",
     1},
    {"{" T("a", "U8", "[1]", "[0,1,2]") "}",
     "f:1:52: tensor \"a\": \"data_offsets\" has to be [start, end], whole numbers from 0 to 2^53 "
     "- 1",
     1},
    {"{" T("a", "U8", "[1]", "[-1,0]") "}",
     "f:1:48: tensor \"a\": \"data_offsets\" has to be [start, end], whole numbers from 0 to 2^53 "
     "- 1",
     1},
    {"{" T("a", "U8", "[1]", "[0,1.0]") "}",
     "f:1:50: tensor \"a\": \"data_offsets\" has to be [start, end], whole numbers from 0 to 2^53 "
     "- 1",
     1},
    {"{" T("a", "U8", "[1]", "[1,0]") "}",
     "f:1:51: tensor \"a\": its range ends at 0, before it starts at 1", 1},
    {"{" T("a", "U8", "[1]", "[1,2]") "}",
     "f: bytes 0 to 1 of the data, before tensor \"a\", belong to no tensor", 2},
    {"{" T("a", "U8", "[1]", "[0,1]") "," T("b", "U8", "[1]", "[3,4]") "}",
     "f: bytes 1 to 3 of the data, before tensor \"b\", belong to no tensor", 4},
    {"{" T("a", "U8", "[3]", "[0,3]") "," T("b", "U8", "[3]", "[2,5]") "}",
     "f: tensor \"b\" starts at 2 of the data, in the midst of \"a\", which ends at 3", 5},
    {"{" T("a", "U8", "[3]", "[0,3]") "," T("b", "U8", "[3]", "[0,3]") "}",
     "f: tensor \"b\" starts at 0 of the data, in the midst of \"a\", which ends at 3", 3},
    {"{" T("a", "U8", "[3]", "[0,3]") "," T("b", "U8", "[0]", "[1,1]") "}",
     "f: tensor \"b\" starts at 1 of the data, in the midst of \"a\", which ends at 3", 3},
    {"{" T("a", "U8", "[3]", "[0,3]") "}",
     "f: the file is cut short: it holds 2 bytes of data, its tensors take 3", 2},
    {"{" T("a", "U8", "[3]", "[0,3]") "}", "f: 2 bytes behind the last tensor belong to none", 5},
    {"{}", "f: 1 bytes behind the last tensor belong to none", 1},
    /* Metadata. */
    {"{\"__metadata__\":[]}", "f:1:17: \"__metadata__\" has to be an object", 0},
    {"{\"__metadata__\":{\"a\":1}}", "f:1:22: \"__metadata__\" holds names and strings only", 0},
    {"{\"__metadata__\":{\"a\":{\"b\":\"c\"}}}",
     "f:1:22: \"__metadata__\" holds names and strings only", 0},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", "f:1:20: \"__metadata__\" stands there twice", 0},
    {"{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", "f: \"a\" stands twice in \"__metadata__\"",
     0},
};

static void refuses_each_hostile_header(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(hostile); i++) {
        write_header(scratch("hostile"), hostile[i].header, hostile[i].data);
        assert_refused(scratch("hostile"), hostile[i].message);
    }
}

static void refuses_what_is_no_such_file(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *message;
    } files[] = {
        {"", 0,
         "f: 0 bytes are no safetensors file, which begins with the 8 bytes of its header's "
         "size"},
        {"\2\0\0\0\0\0\0", 7,
         "f: 7 bytes are no safetensors file, which begins with the 8 bytes of its header's size"},
        {"\3\0\0\0\0\0\0\0{}", 10, "f: the file is cut short: its header has 3 bytes, 2 are there"},
        {"\1\0\x40\6\0\0\0\0{}", 10,
         "f: a header of 104857601 bytes, at most 104857600 are read; is this a safetensors file?"},
        {"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF{}", 10,
         "f: a header of 18446744073709551615 bytes, at most 104857600 are read; is this a "
         "safetensors file?"},
        {"PK\3\4\0\0\0\0data", 12,
         "f: the file is cut short: its header has 67324752 bytes, 4 are "
         "there"},
    };
    for (size_t i = 0; i < COUNT(files); i++) {
        write_test_file(scratch("other"), files[i].bytes, files[i].size);
        assert_refused(scratch("other"), files[i].message);
    }
}

static struct cr_safetensors *parse(const char *header, uint64_t data)
{
    struct cr_safetensors *file;
    struct cr_error err = CR_ERROR_INIT;
    if (cr_safetensors_parse(&file, header, strlen(header), data, "f", &err) < 0)
        fail_msg("%s: %s", header, err.message);
    return file;
}

static void reads_what_is_allowed(void **state)
{
    (void)state;
    struct cr_safetensors *file =
        parse("{" T("z", "F32", "[2,1]", "[4,12]") ", \"__metadata__\" : {\"format\":\"pt\"},\n" T(
                  "none", "F16", "[3,0,9007199254740991]",
                  "[4,4]") "," T("a.b/c \xC3\xA9", "BF16", "[]",
                                 "[0,2]") ","
                                          "\"rev\":{\"data_offsets\":[2,4],\"shape\":[4],\"dtype\":"
                                          "\"F4\"}," T("eight", "U8", "[1,1,1,1,1,1,1,1]",
                                                       "[12,13]") "}   \n",
              13);
    assert_int_equal(file->count, 5);
    assert_string_equal(file->tensors[0].name, "a.b/c \xC3\xA9");
    assert_string_equal(file->tensors[4].name, "z");
    const struct cr_st_tensor *z = cr_safetensors_find(file, "z");
    assert_int_equal(z->dtype, CR_ST_F32);
    assert_int_equal(z->rank, 2);
    assert_int_equal(z->shape[0], 2);
    assert_int_equal(z->start, 4);
    assert_int_equal(z->bytes, 8);
    assert_int_equal(cr_safetensors_find(file, "none")->bytes, 0);
    assert_int_equal(cr_safetensors_find(file, "a.b/c \xC3\xA9")->rank, 0);
    assert_int_equal(cr_safetensors_find(file, "eight")->rank, 8);
    assert_null(cr_safetensors_find(file, "zz"));
    assert_int_equal(file->metadata_count, 1);
    assert_string_equal(file->metadata[0].value, "pt");
    cr_safetensors_destroy(&file);
    cr_safetensors_destroy(&file);
    file = parse("{}", 0);
    assert_null(cr_safetensors_find(file, "x"));
    cr_safetensors_destroy(&file);
}

/* A header of many small tensors, as text. */
static char *many(size_t count)
{
    struct cr_text text = CR_TEXT_INIT;
    cr_text_add(&text, "{");
    for (size_t i = 0; i < count; i++)
        cr_text_printf(&text, "%s\"%zu\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
                       i > 0 ? "," : "", i);
    cr_text_add(&text, "}");
    return cr_text_take(&text);
}

static void limits_the_number_of_tensors(void **state)
{
    (void)state;
    struct cr_safetensors *file;
    struct cr_error err = CR_ERROR_INIT;
    char *header = many(CR_ST_MAX_TENSORS);
    file = parse(header, 0);
    assert_int_equal(file->count, CR_ST_MAX_TENSORS);
    cr_safetensors_destroy(&file);
    cr_free(header);
    header = many(CR_ST_MAX_TENSORS + 1);
    assert_int_equal(cr_safetensors_parse(&file, header, strlen(header), 0, "f", &err),
                     CR_ERR_FORMAT);
    assert_non_null(strstr(err.message, "more than 1000000 tensors"));
    cr_free(header);
}

/* Names of a megabyte do not push the reason out of the message. */
static void shortens_long_names(void **state)
{
    (void)state;
    struct cr_text header = CR_TEXT_INIT;
    struct cr_safetensors *file;
    struct cr_error err = CR_ERROR_INIT;
    cr_text_add(&header, "{\"");
    for (int i = 0; i < 1000000; i++)
        cr_text_add(&header, "x");
    cr_text_add(&header, "\":{\"dtype\":\"Q9\"}}");
    assert_int_equal(cr_safetensors_parse(&file, header.data, header.size, 0, "f", &err),
                     CR_ERR_FORMAT);
    assert_non_null(strstr(err.message, "xxx\": the dtype \"Q9\" is unknown"));
    cr_text_finish(&header);
}

static int read_once(void *user, struct cr_error *err)
{
    struct cr_safetensors *file = NULL;
    int fd = open(user, O_RDONLY);
    int result = cr_safetensors_read(&file, fd, (uint64_t)lseek(fd, 0, SEEK_END), "faults", err);
    close(fd);
    cr_safetensors_destroy(&file);
    return result;
}

static void survives_faults(void **state)
{
    (void)state;
    char *header = many(80);
    void *path = (void *)(uintptr_t)scratch("faults");
    write_header(path, header, 0);
    cr_free(header);
    assert_true(sweep_faults(CR_FAULT_ALLOC, ENOMEM, read_once, NULL, path) > 5);
    assert_int_equal(sweep_faults(CR_FAULT_READ, EIO, read_once, NULL, path), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_each_hostile_header),
        cmocka_unit_test(refuses_what_is_no_such_file),
        cmocka_unit_test(reads_what_is_allowed),
        cmocka_unit_test(limits_the_number_of_tensors),
        cmocka_unit_test(shortens_long_names),
        cmocka_unit_test(survives_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
