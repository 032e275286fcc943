/* cmd/queue_list.c - sluice queue ls, count, export: many messages at once.
 *
 * ls aligns its columns a page at a time. The newest few messages are one page; a list of all
 * has many, so that the first lines of a million do not have to wait for the last.
 */
#include "cmd/queue_list.h"
#include "cmd/client.h"
#include "cmd/queue.h"
#include "cmd/queue_open.h"
#include "cmd/terminal.h"
#include "text/display.h"
#include "text/units.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    DEFAULT_MOST = 50,
    PAGE_LINES = 200,
    WIDE = 120,           /* columns: room for the year */
    UNKNOWN_COLUMNS = 200 /* of a payload, if no terminal limits it */
};

enum { ID, RECEIVED, STATE, ROUTE, TOPIC, PAYLOAD, COLUMNS };

static const char *const titles[COLUMNS] = {"ID", "RECEIVED", "STATE", "ROUTE", "TOPIC", "PAYLOAD"};

struct line {
    char *columns[COLUMNS];
    bool dead, tried;
};

struct listing {
    struct terminal terminal;
    struct line *lines; /* of the page */
    size_t count, capacity;
    bool brief;             /* a narrow terminal: no year, no route */
    size_t widths[COLUMNS]; /* never less than those of the page before */
    uint64_t most;          /* this many, newest first; 0: all, oldest first */
    bool headed;
    struct queue_listed listed;
};

/* ---- a line ---- */

static char *text_of(const struct message_row *row, size_t columns)
{
    struct buf text cleanup_buf;
    buf_init(&text, BUF_MOST_BYTES);
    display_append_payload(&text, row->message.payload, row->message.payload_bytes, columns);
    return xstrdup(buf_text(&text));
}

static char *name_of(const char *name, size_t columns)
{
    struct buf safe cleanup_buf, text cleanup_buf;
    buf_init(&safe, BUF_MOST_BYTES);
    buf_init(&text, BUF_MOST_BYTES);
    display_append_safe(&safe, name, strlen(name));
    display_append_payload(&text, buf_text(&safe), safe.bytes, columns);
    return xstrdup(buf_text(&text));
}

static char *state_of(const struct message_row *row, bool brief)
{
    if (row->dead)
        return xasprintf("%s%s", brief ? "" : "dead: ", row->reason);
    if (row->deferred)
        return brief ? xstrdup("deferred") : xasprintf("deferred: failed %u x", row->message.attempts);
    return row->message.attempts > 0 ? xasprintf("failed %u x", row->message.attempts) : xstrdup("waiting");
}

static char *time_of(const struct message *message, bool brief)
{
    char time[UNITS_BYTES];
    return xasprintf("%s%s%s", units_time(message->received_ms, brief, time),
                     message->clock_synchronised ? "" : " ?", message->late ? " late" : "");
}

static struct line make_line(const struct listing *listing, const struct message_row *row)
{
    size_t columns = listing->terminal.columns;
    size_t third = columns > 0 ? columns / 3 : UNKNOWN_COLUMNS;
    struct line line = {.dead = row->dead, .tried = row->deferred || row->message.attempts > 0};
    line.columns[ID] = xasprintf("%" PRId64, row->message.id);
    line.columns[RECEIVED] = time_of(&row->message, listing->brief);
    line.columns[STATE] = state_of(row, listing->brief);
    line.columns[ROUTE] = name_of(row->message.route, third / 2);
    line.columns[TOPIC] = name_of(row->message.topic, third);
    line.columns[PAYLOAD] = text_of(row, columns > 0 ? columns : UNKNOWN_COLUMNS);
    return line;
}

/* ---- a page ---- */

static bool is_left_out(const struct listing *listing, size_t column)
{
    return column == ROUTE && listing->brief;
}

static void widen(struct listing *listing)
{
    for (size_t c = 0; c < PAYLOAD; c++) {
        if (is_left_out(listing, c))
            continue;
        if (strlen(titles[c]) > listing->widths[c])
            listing->widths[c] = strlen(titles[c]);
        for (size_t i = 0; i < listing->count; i++) {
            size_t width = display_columns(listing->lines[i].columns[c]);
            if (width > listing->widths[c])
                listing->widths[c] = width;
        }
    }
}

/* Pads the text to the width of its column: numbers on the left, others on the right. */
static void print_cell(const struct listing *listing, size_t column, const char *text, const char *colour)
{
    if (is_left_out(listing, column))
        return;
    int blanks = (int)(listing->widths[column] - display_columns(text));
    const char *end = *colour ? terminal_style(&listing->terminal, TERMINAL_PLAIN) : "";
    if (column == ID)
        printf("%*s%s%s%s  ", blanks, "", colour, text, end);
    else
        printf("%s%s%s%*s  ", colour, text, end, blanks, "");
}

static void print_head(struct listing *listing)
{
    const char *bold = terminal_style(&listing->terminal, TERMINAL_BOLD);
    for (size_t c = 0; c < PAYLOAD; c++)
        print_cell(listing, c, titles[c], bold);
    printf("%s%s%s\n", bold, titles[PAYLOAD],
           *bold ? terminal_style(&listing->terminal, TERMINAL_PLAIN) : "");
    listing->headed = true;
}

/* The columns that remain for the payload. */
static size_t payload_room(const struct listing *listing)
{
    size_t used = 0;
    for (size_t c = 0; c < PAYLOAD; c++)
        used += is_left_out(listing, c) ? 0 : listing->widths[c] + 2;
    size_t columns = listing->terminal.columns;
    return columns == 0 ? UNKNOWN_COLUMNS + 8 : columns > used + 8 ? columns - used : 8;
}

static void print_line(const struct listing *listing, const struct line *line)
{
    const char *colour = line->dead    ? terminal_style(&listing->terminal, TERMINAL_RED)
                         : line->tried ? terminal_style(&listing->terminal, TERMINAL_YELLOW)
                                       : "";
    for (size_t c = 0; c < PAYLOAD; c++)
        print_cell(listing, c, line->columns[c], c == STATE ? colour : "");
    struct buf text cleanup_buf;
    buf_init(&text, BUF_MOST_BYTES);
    display_append_payload(&text, line->columns[PAYLOAD], strlen(line->columns[PAYLOAD]),
                           payload_room(listing));
    puts(buf_text(&text));
}

static void print_page(struct listing *listing)
{
    if (listing->count == 0)
        return;
    widen(listing);
    if (!listing->headed)
        print_head(listing);
    for (size_t i = 0; i < listing->count; i++)
        print_line(listing, &listing->lines[listing->most > 0 ? listing->count - 1 - i : i]);
    for (size_t i = 0; i < listing->count; i++)
        for (size_t c = 0; c < COLUMNS; c++)
            free(listing->lines[i].columns[c]);
    listing->count = 0;
}

static bool list_row(void *context, const struct message_row *row)
{
    struct listing *listing = context;
    if (listing->most > 0 && listing->count == listing->most) {
        listing->listed.more = true;
        return false;
    }
    if (listing->count == listing->capacity) {
        listing->capacity = listing->capacity > 0 ? 2 * listing->capacity : PAGE_LINES;
        listing->lines = xrealloc(listing->lines, listing->capacity * sizeof *listing->lines);
    }
    listing->lines[listing->count++] = make_line(listing, row);
    listing->listed.shown++;
    if (listing->most > 0 || listing->count < PAGE_LINES)
        return true;
    print_page(listing);
    return output_works();
}

int queue_list_print(struct queue_admin *admin, const struct queue_filter *filter, uint64_t most,
                     struct queue_listed *ret)
{
    struct listing listing = {.terminal = terminal_detect(), .most = most};
    listing.brief = listing.terminal.columns > 0 && listing.terminal.columns < WIDE;
    int error = queue_admin_rows(admin, filter, most > 0, list_row, &listing);
    print_page(&listing);
    free(listing.lines);
    *ret = listing.listed;
    return error;
}

/* ---- the commands ---- */

/* One line; freed by the caller. */
static char *json_of(const struct message_row *row)
{
    cJSON *json = message_row_json(row);
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    return text;
}

struct exporting {
    struct progress progress;
    uint64_t count;
};

static bool export_row(void *context, const struct message_row *row)
{
    struct exporting *export = context;
    cleanup_free char *text = json_of(row);
    puts(text);
    if (++export->count % QUEUE_ADMIN_ROWS == 0)
        progress_show(&export->progress, export->count);
    return !ferror(stdout);
}

/* The newest few, as JSON. They are read newest first, and printed oldest first. */
struct newest {
    char **lines;
    size_t count;
    uint64_t most;
};

static bool keep_row(void *context, const struct message_row *row)
{
    struct newest *newest = context;
    if (newest->count == newest->most)
        return false;
    newest->lines = xrealloc(newest->lines, (newest->count + 1) * sizeof *newest->lines);
    newest->lines[newest->count++] = json_of(row);
    return true;
}

static int print_newest(struct queue_admin *admin, const struct queue_filter *filter, uint64_t most)
{
    struct newest newest = {.most = most};
    int error = queue_admin_rows(admin, filter, true, keep_row, &newest);
    for (size_t i = newest.count; i > 0; i--) {
        puts(newest.lines[i - 1]);
        free(newest.lines[i - 1]);
    }
    free(newest.lines);
    return error;
}

static int export_all(struct queue_command *queue, bool show_progress)
{
    struct exporting export = {.progress = {.doing = "written", .quiet = !show_progress}};
    int error = queue_admin_rows(queue->admin, &queue->filter, false, export_row, &export);
    progress_end(&export.progress);
    return error;
}

static int export(struct queue_command *queue)
{
    bool to_terminal = terminal_detect().colour;
    return queue_command_close(queue, export_all(queue, !to_terminal));
}

const struct command cmd_queue_export = {
    .run = queue_command_run,
    .work = &(const struct queue_work){.run = export},
    .options = (const struct command_option[]){QUEUE_OPTIONS_FILTER, QUEUE_OPTION_STATE, {0}},
    .help = "Writes messages to standard output, the oldest first, one JSON object a line. A\n"
            "payload that is not text is in base64, with \"encoding\" beside it. Nothing is\n"
            "changed.\n\n" QUEUE_HELP_FILTER QUEUE_HELP_STATE QUEUE_HELP_CONFIG,
};

static void print_rest(const struct queue_command *queue, const struct queue_listed *listed)
{
    if (listed->shown == 0)
        fprintf(stderr, "%s\n", queue->filtered ? "no such messages" : "the queue is empty");
    else if (listed->more)
        fprintf(stderr, "(there are older ones: -n 0 lists all)\n");
}

/* Before they are listed: one that dies meanwhile is new. A member of the group may ask the daemon,
 * but may not write. */
static void note_seen(const struct queue_command *queue)
{
    const struct queue_filter *filter = &queue->filter;
    bool whole = !filter->route && !filter->topic && !filter->reason && filter->older_ms == 0 &&
                 filter->newer_ms == 0 && filter->id_count == 0;
    if (filter->dead && whole && !queue->json && client_seen(&queue->place) != 0)
        queue_admin_seen(queue->place.queue);
}

static int ls(struct queue_command *queue)
{
    note_seen(queue);
    uint64_t most = queue->most_given ? queue->most : queue->json ? 0 : DEFAULT_MOST;
    int error;
    if (!queue->json) {
        struct queue_listed listed;
        error = queue_list_print(queue->admin, &queue->filter, most, &listed);
        fflush(stdout);
        if (error == 0)
            print_rest(queue, &listed);
    } else if (most > 0) {
        error = print_newest(queue->admin, &queue->filter, most);
    } else {
        error = export_all(queue, false);
    }
    return queue_command_close(queue, error);
}

const struct command cmd_queue_ls = {
    .run = queue_command_run,
    .work = &(const struct queue_work){.run = ls},
    .options =
        (const struct command_option[]){
            QUEUE_OPTIONS_FILTER, QUEUE_OPTION_STATE, QUEUE_OPTION_JSON, QUEUE_OPTION_COUNT, {0}},
    .help =
        "Lists pending messages and dead letters, one a line, the newest last.\n"
        "\n" QUEUE_HELP_FILTER QUEUE_HELP_STATE
        "  -n COUNT        the newest COUNT messages; 0: all. Default 50, with --json all\n"
        "  --json          one JSON object a line, with all fields, as export writes it\n" QUEUE_HELP_CONFIG,
};

static bool count_glance(void *context, const struct queue_glance *glance)
{
    (void)glance;
    ++*(uint64_t *)context;
    return true;
}

static int count(struct queue_command *queue)
{
    uint64_t count = 0;
    int error = queue_admin_glance(queue->admin, &queue->filter, false, count_glance, &count);
    if (error == 0)
        printf("%" PRIu64 "\n", count);
    return queue_command_close(queue, error);
}

const struct command cmd_queue_count = {
    .run = queue_command_run,
    .work = &(const struct queue_work){.run = count},
    .options = (const struct command_option[]){QUEUE_OPTIONS_FILTER, QUEUE_OPTION_STATE, {0}},
    .help = "Prints the number of messages, and nothing else.\n\n" QUEUE_HELP_FILTER QUEUE_HELP_STATE
        QUEUE_HELP_CONFIG,
};
