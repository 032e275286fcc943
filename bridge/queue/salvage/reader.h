/* queue/salvage/reader.h - lets SQLite read one page as if it were a whole table. */
#ifndef SLUICE_QUEUE_SALVAGE_READER_H
#define SLUICE_QUEUE_SALVAGE_READER_H

#include "queue/salvage/pages.h"
#include "queue/salvage/tables.h"

enum { CELLS_MOST = (PAGE_BYTES - 8) / 6 }; /* of a leaf, as SQLite has it */

struct reader;

/* Both must outlive the reader. Returns 0 or -Exxx. */
int reader_open(struct pages *pages, const struct table_columns columns[static TABLES], struct reader **ret);
void reader_close(struct reader *reader); /* NULL is allowed */

/* From now on the rows are those of this page, which is number `number` in the database.
 * Its first byte is ignored: it is read as `type`. Returns how many rows it claims to
 * have, at most CELLS_MOST; 0 where that is not possible. */
uint32_t reader_show(struct reader *reader, const uint8_t page[static PAGE_BYTES], uint32_t number,
                     enum page_type type);

/* The ids of the rows of the shown page, of a table that has rowids. Ids of damaged rows
 * are among them. Returns how many. */
uint32_t reader_ids(struct reader *reader, int64_t ids[static CELLS_MOST]);

/* The highest id of a message in the shown page, or 0. Does not read long payloads. */
int64_t reader_highest_message(struct reader *reader);

/* A row of the shown page, counted from 0, with the columns of a table in their order.
 * NULL when it cannot be read, or when it does not have the columns and types of that
 * table. Valid until the next call. */
sqlite3_stmt *reader_row(struct reader *reader, enum table table, uint32_t index);

#endif
