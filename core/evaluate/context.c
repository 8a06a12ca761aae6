/* SPDX-License-Identifier: MIT */
/* context.c: what a task sees of the evaluation, and whether it keeps the rules. */
#include <assert.h>
#include <string.h>

#include <crayon/memory.h>

#include "evaluate/task.h"
#include "pipeline/check.h"
#include "value/value.h"

static size_t port_index(const struct cr_port *const *ports, const char *name)
{
    size_t port = 0;
    while (ports != NULL && ports[port] != NULL && strcmp(ports[port]->name, name) != 0)
        port++;
    assert(ports != NULL && ports[port] != NULL && "a port that the element declares");
    return port;
}

static void misuse(struct cr_task_context *context, int code, const char *format, ...)
    CR_PRINTF(3, 4);

static void misuse(struct cr_task_context *context, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (context->misuse.code == CR_OK)
        cr_failv(&context->misuse, code, format, args);
    va_end(args);
}

int cr_task_name(struct cr_task_context *context, const char *name, struct cr_error *err)
{
    char *copy = cr_strdup(name);
    if (copy == NULL)
        return cr_fail_memory(err, strlen(name) + 1);
    cr_free(context->name);
    context->name = copy;
    return 0;
}

bool cr_task_wants(const struct cr_task_context *context, const char *port)
{
    return context->task->questions[port_index(context->task->element->outputs, port)] != NULL;
}

static void check_output(struct cr_task_context *context, const struct cr_port *port,
                         const struct cr_value *value)
{
    size_t index;
    if (context->outputs == NULL)
        misuse(context, CR_ERR_PLUGIN, "the output \"%s\" is set outside of item()", port->name);
    else if (value == NULL)
        misuse(context, CR_ERR_PLUGIN, "the output \"%s\" is set to nothing", port->name);
    else if (cr_value_type(value) != port->type)
        misuse(context, CR_ERR_PLUGIN, "the output \"%s\" is declared as %s and is %s", port->name,
               cr_type_words(port->type), cr_type_words(cr_value_type(value)));
    else if (cr_value_count(value) != 1 || !cr_value_complete(value, &index))
        misuse(context, CR_ERR_PLUGIN, "the output \"%s\" is not one item", port->name);
}

void cr_task_output(struct cr_task_context *context, const char *port, struct cr_value **value)
{
    size_t at = port_index(context->task->element->outputs, port);
    check_output(context, context->task->element->outputs[at], *value);
    if (context->misuse.code == CR_OK && context->outputs[at] != NULL)
        misuse(context, CR_ERR_PLUGIN, "the output \"%s\" is set twice", port);
    if (context->misuse.code != CR_OK || !cr_task_wants(context, port)) {
        cr_value_unref(value);
        return;
    }
    cr_value_seal(*value);
    context->outputs[at] = *value;
    *value = NULL;
}

const struct cr_value *cr_task_input(const struct cr_task_context *context, const char *port)
{
    const struct cr_task *task = context->task;
    const char *answer = task->answers[port_index(task->element->inputs, port)];
    return context->answered && answer != NULL ? cr_run_output(task->run, answer) : NULL;
}

void cr_task_figure(struct cr_task_context *context, const char *table, const char *row,
                    const char *column, enum cr_unit unit, double value)
{
    struct cr_error err = CR_ERROR_INIT;
    if (context->tells == NULL)
        misuse(context, CR_ERR_PLUGIN, "a figure is told outside of finish()");
    else if (cr_tables_set(context->tells, table, row, column, (struct cr_cell){unit, value},
                           &err) < 0)
        misuse(context, err.code, "%s", err.message);
}

bool cr_task_cancelled(const struct cr_task_context *context)
{
    const volatile int *cancel = context->task->params->cancel;
    return cancel != NULL && *cancel != 0;
}

void cr_task_log(const struct cr_task_context *context, enum cr_log_level level, const char *format,
                 ...)
{
    va_list args;
    va_start(args, format);
    cr_log_writev(context->task->params->log, level, context->task->element->name, format, args);
    va_end(args);
}
