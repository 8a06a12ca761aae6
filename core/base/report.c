/* SPDX-License-Identifier: MIT */
#include <crayon/error.h>
#include <crayon/memory.h>

struct cr_report {
    struct cr_finding *findings; /* their strings are owned */
    size_t count, capacity;
    size_t errors;
};

struct cr_report *cr_report_create(void)
{
    return cr_calloc(1, sizeof(struct cr_report));
}

static void finding_finish(struct cr_finding *finding)
{
    cr_free((char *)(uintptr_t)finding->file);
    cr_free((char *)(uintptr_t)finding->pointer);
    cr_free((char *)(uintptr_t)finding->message);
}

void cr_report_destroy(struct cr_report **report)
{
    if (*report == NULL)
        return;
    for (size_t i = 0; i < (*report)->count; i++)
        finding_finish(&(*report)->findings[i]);
    cr_free((*report)->findings);
    cr_free(*report);
    *report = NULL;
}

static bool reserve(struct cr_report *report)
{
    if (report->count < report->capacity)
        return true;
    size_t capacity = report->capacity == 0 ? 8 : report->capacity * 2;
    struct cr_finding *findings =
        cr_realloc_array(report->findings, capacity, sizeof(report->findings[0]));
    if (findings == NULL)
        return false;
    report->findings = findings;
    report->capacity = capacity;
    return true;
}

static void add(struct cr_report *report, struct cr_finding finding, const char *format,
                va_list args) CR_PRINTF(3, 0);

static void add(struct cr_report *report, struct cr_finding finding, const char *format,
                va_list args)
{
    if (finding.severity == CR_SEVERITY_ERROR)
        report->errors++;
    struct cr_error text = CR_ERROR_INIT;
    cr_failv(&text, CR_ERR_PIPELINE, format, args);
    finding.file = cr_strdup(finding.file);
    finding.pointer = cr_strdup(finding.pointer);
    finding.message = cr_strdup(text.message);
    if (finding.file != NULL && finding.pointer != NULL && finding.message != NULL &&
        reserve(report))
        report->findings[report->count++] = finding;
    else
        finding_finish(&finding);
}

void cr_report_add(struct cr_report *report, enum cr_severity severity, const char *file,
                   const char *pointer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(report, (struct cr_finding){.severity = severity, .file = file, .pointer = pointer}, format,
        args);
    va_end(args);
}

void cr_report_add_at(struct cr_report *report, enum cr_severity severity, const char *file,
                      int64_t line, int64_t column, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(report,
        (struct cr_finding){
            .severity = severity, .file = file, .pointer = "", .line = line, .column = column},
        format, args);
    va_end(args);
}

size_t cr_report_count(const struct cr_report *report)
{
    return report->count;
}

size_t cr_report_errors(const struct cr_report *report)
{
    return report->errors;
}

const struct cr_finding *cr_report_get(const struct cr_report *report, size_t index)
{
    return &report->findings[index];
}

char *cr_finding_text(const struct cr_finding *finding)
{
    if (finding->line > 0)
        return cr_asprintf("%s:%lld:%lld: %s", finding->file, (long long)finding->line,
                           (long long)finding->column, finding->message);
    if (finding->pointer[0] != '\0')
        return cr_asprintf("%s: %s: %s", finding->file, finding->pointer, finding->message);
    return cr_asprintf("%s: %s", finding->file, finding->message);
}
