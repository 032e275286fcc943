/* queue/salvage/record.c - cells and records in a page (sections 1.6 and 2.1).
 *
 * Pages have no reserved space at their ends: sluice makes none.
 */
#include "queue/salvage/internal.h"

#include <string.h>

/* Up to nine bytes, seven bits in each but the ninth; 0 when it does not end. */
static unsigned get_varint(const uint8_t *at, const uint8_t *end, uint64_t *ret)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < 9 && at + i < end; i++) {
        if (i == 8) {
            *ret = number << 8 | at[i];
            return 9;
        }
        number = number << 7 | (at[i] & 0x7f);
        if (!(at[i] & 0x80)) {
            *ret = number;
            return i + 1;
        }
    }
    return 0;
}

static bool is_interior(enum page_type type)
{
    return type == INDEX_INTERIOR || type == TABLE_INTERIOR;
}

bool node_open(const uint8_t *page, uint32_t bytes, uint32_t number, enum page_type as, struct node *ret)
{
    uint32_t header = number == 1 ? 100 : 0;
    enum page_type type = as != 0 ? as : (enum page_type)page[header];
    if (type != INDEX_INTERIOR && type != TABLE_INTERIOR && type != INDEX_LEAF && type != TABLE_LEAF)
        return false;
    struct node node = {.page = page, .bytes = bytes, .type = type};
    node.cells = get2(page + header + 3);
    node.pointers = header + (is_interior(type) ? 12 : 8);
    node.right = is_interior(type) ? get4(page + header + 8) : 0;
    if (node.cells > (bytes - node.pointers) / 4) /* each has a pointer, and two bytes at least */
        return false;
    *ret = node;
    return true;
}

/* How much of a record is in its page; the rest is in overflow pages. */
static uint64_t local_bytes(const struct node *node, uint64_t record_bytes)
{
    uint64_t most = node->type == TABLE_LEAF ? node->bytes - 35 : (node->bytes - 12) * 64 / 255 - 23;
    uint64_t least = (node->bytes - 12) * 32 / 255 - 23;
    if (record_bytes <= most)
        return record_bytes;
    uint64_t fitting = least + (record_bytes - least) % (node->bytes - 4);
    return fitting <= most ? fitting : least;
}

bool node_cell(const struct node *node, uint32_t index, struct cell *ret)
{
    struct cell cell = {.child = 0};
    uint64_t number;
    unsigned n;
    uint32_t offset = get2(node->page + node->pointers + 2 * (size_t)index);
    if (index >= node->cells || offset < node->pointers + 2 * node->cells || offset + 4 > node->bytes)
        return false;
    const uint8_t *at = node->page + offset, *end = node->page + node->bytes;
    if (is_interior(node->type)) {
        cell.child = get4(at);
        at += 4;
    }
    if (node->type != TABLE_INTERIOR) {
        if ((n = get_varint(at, end, &cell.bytes)) == 0 || cell.bytes == 0)
            return false;
        at += n;
    }
    if (node->type == TABLE_INTERIOR || node->type == TABLE_LEAF) {
        if ((n = get_varint(at, end, &number)) == 0)
            return false;
        cell.rowid = (int64_t)number;
        at += n;
    }
    if (cell.bytes > 0) {
        uint64_t local = local_bytes(node, cell.bytes);
        size_t pointer = local < cell.bytes ? 4 : 0;
        if (local + pointer > (size_t)(end - at))
            return false;
        cell.local = at;
        cell.local_bytes = (uint32_t)local;
        cell.overflow = pointer ? get4(at + local) : 0;
        if (pointer && cell.overflow == 0)
            return false;
    }
    *ret = cell;
    return true;
}

/* ---- records ---- */

static int64_t get_integer(const uint8_t *at, unsigned bytes)
{
    uint64_t number = at[0] & 0x80 ? UINT64_MAX : 0;
    for (unsigned i = 0; i < bytes; i++)
        number = number << 8 | at[i];
    return (int64_t)number;
}

/* The type and length that a serial type stands for; false: reserved. */
static bool read_serial(uint64_t serial, struct value *ret)
{
    static const uint8_t integer_bytes[] = {0, 1, 2, 3, 4, 6, 8};
    *ret = (struct value){.type = SQLITE_NULL};
    if (serial >= 12) {
        ret->type = serial % 2 == 0 ? SQLITE_BLOB : SQLITE_TEXT;
        ret->bytes = (serial - 12) / 2;
    } else if (serial >= 1 && serial <= 6) {
        ret->type = SQLITE_INTEGER;
        ret->bytes = integer_bytes[serial];
    } else if (serial == 7) {
        ret->type = SQLITE_FLOAT;
        ret->bytes = 8;
    } else if (serial == 8 || serial == 9) {
        ret->type = SQLITE_INTEGER;
        ret->integer = serial == 9;
    }
    return serial != 10 && serial != 11;
}

bool record_parse(const uint8_t *data, uint64_t there, uint64_t bytes, struct record *ret)
{
    uint64_t header_bytes, serial;
    unsigned n = get_varint(data, data + there, &header_bytes);
    if (n == 0 || header_bytes < n || header_bytes > there)
        return false;
    uint64_t at = header_bytes;
    const uint8_t *type = data + n, *types_end = data + header_bytes;
    ret->columns = 0;
    while (type < types_end) {
        struct value value;
        if (ret->columns == RECORD_COLUMNS || (n = get_varint(type, types_end, &serial)) == 0 ||
            !read_serial(serial, &value) || value.bytes > bytes - at)
            return false;
        type += n;
        if (at + value.bytes <= there) {
            value.data = data + at;
            if (value.type == SQLITE_INTEGER && value.bytes > 0)
                value.integer = get_integer(value.data, (unsigned)value.bytes);
        }
        at += value.bytes;
        ret->values[ret->columns++] = value;
    }
    return at == bytes;
}
