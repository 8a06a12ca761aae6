/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <crayon/memory.h>

#include "evaluate/task.h"

static struct cr_table *find_table(struct cr_evaluated *evaluated, const char *name,
                                   struct cr_error *err)
{
    for (size_t i = 0; i < evaluated->table_count; i++)
        if (strcmp(evaluated->tables[i].name, name) == 0)
            return &evaluated->tables[i];
    size_t count = evaluated->table_count + 1;
    struct cr_table *tables = cr_realloc_array(evaluated->tables, count, sizeof(*tables));
    if (tables != NULL)
        evaluated->tables = tables;
    char *copy = cr_strdup(name);
    if (tables == NULL || copy == NULL) {
        cr_free(copy);
        cr_fail_memory(err, count * sizeof(*tables));
        return NULL;
    }
    tables[count - 1] = (struct cr_table){.name = copy};
    evaluated->table_count = count;
    return &tables[count - 1];
}

/* Tables are told row by row: the last one first. */
static struct cr_row *find_row(struct cr_table *table, const char *name, struct cr_error *err)
{
    for (size_t i = table->row_count; i-- > 0;)
        if (strcmp(table->rows[i].name, name) == 0)
            return &table->rows[i];
    if (table->row_count == table->row_capacity) {
        size_t capacity = table->row_capacity == 0 ? 16 : 2 * table->row_capacity;
        struct cr_row *rows = cr_realloc_array(table->rows, capacity, sizeof(*rows));
        if (rows == NULL) {
            cr_fail_memory(err, capacity * sizeof(*rows));
            return NULL;
        }
        table->rows = rows;
        table->row_capacity = capacity;
    }
    struct cr_row *row = &table->rows[table->row_count];
    *row = (struct cr_row){.name = cr_strdup(name)};
    if (row->name == NULL) {
        cr_fail_memory(err, strlen(name) + 1);
        return NULL;
    }
    table->row_count++;
    return row;
}

static int find_column(struct cr_table *table, const char *name, size_t *column,
                       struct cr_error *err)
{
    for (*column = 0; *column < table->column_count; ++*column)
        if (strcmp(table->columns[*column], name) == 0)
            return 0;
    if (table->column_count == CR_TABLE_COLUMNS)
        return cr_fail(err, CR_ERR_PLUGIN, "the table \"%s\" has more than %d columns", table->name,
                       CR_TABLE_COLUMNS);
    if ((table->columns[*column] = cr_strdup(name)) == NULL)
        return cr_fail_memory(err, strlen(name) + 1);
    table->column_count++;
    return 0;
}

int cr_tables_set(struct cr_evaluated *evaluated, const char *table, const char *row,
                  const char *column, struct cr_cell cell, struct cr_error *err)
{
    size_t at = 0;
    struct cr_table *found = find_table(evaluated, table, err);
    struct cr_row *line = found != NULL ? find_row(found, row, err) : NULL;
    if (line == NULL)
        return CR_ERR_MEMORY;
    int result = find_column(found, column, &at, err);
    if (result == 0)
        line->cells[at] = cell;
    return result;
}

static void table_finish(struct cr_table *table)
{
    for (size_t i = 0; i < table->row_count; i++)
        cr_free(table->rows[i].name);
    for (size_t i = 0; i < table->column_count; i++)
        cr_free(table->columns[i]);
    cr_free(table->rows);
    cr_free(table->name);
}

void cr_evaluated_finish(struct cr_evaluated *evaluated)
{
    for (size_t i = 0; i < evaluated->table_count; i++)
        table_finish(&evaluated->tables[i]);
    cr_free(evaluated->tables);
    *evaluated = (struct cr_evaluated){.count = 0};
}
