/* simavr_run.c - an Arduino Uno: runs a firmware in simavr, no faster than a real one.
 *
 *     simavr_run FIRMWARE.elf PORT
 *
 * The registers of avr/Ethernet.h lead to 127.0.0.1:PORT. The probe on A0 reads 1, 2,
 * 3 ... while pin 7 gives it power, and 0 otherwise; A1 is open. What the firmware
 * prints on Serial goes to standard output. On SIGTERM it says how deep the stack went:
 *
 *     stack: 312 bytes were never used
 *
 * between the lowest stack pointer and the top of the heap.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <avr_adc.h>
#include <avr_ioport.h>
#include <avr_uart.h>
#include <sim_avr.h>
#include <sim_elf.h>
#include <sim_io.h>

enum {
    GPIOR0 = 0x3e, /* addresses of the ATmega328P, as data */
    GPIOR1 = 0x4a,
    GPIOR2 = 0x4b,
    SPL = 0x5d,
    SPH = 0x5e,
    HZ = 16000000,
    VCC_MV = 5000,
    SLICE = HZ / 1000,
};

struct board {
    avr_t *avr;
    uint16_t port;
    int socket;
    uint8_t in[255]; /* as many as GPIOR2 can tell of */
    size_t in_start, in_end;
    uint8_t out[1024];
    size_t out_bytes;
    bool probe_has_power;
    uint32_t measured;
    uint16_t brkval_at; /* where the top of the heap stands; 0 there: nothing is on it */
    uint16_t heap_start;
    uint16_t lowest_sp;
};

static volatile sig_atomic_t stopping;

static void on_signal(int number)
{
    (void)number;
    stopping = 1;
}

/* ---- the wires of avr/Ethernet.h ---- */

static void hang_up(struct board *board)
{
    if (board->socket >= 0)
        close(board->socket);
    board->socket = -1;
    board->in_start = board->in_end = board->out_bytes = 0;
}

static void dial(struct board *board)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(board->port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int yes = 1;
    hang_up(board);
    board->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(board->socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(board->socket, (struct sockaddr *)&to, sizeof to) != 0)
        hang_up(board);
}

static void send_out(struct board *board)
{
    if (board->out_bytes > 0 &&
        send(board->socket, board->out, board->out_bytes, MSG_NOSIGNAL) != (ssize_t)board->out_bytes)
        hang_up(board);
    board->out_bytes = 0;
}

static void hear(struct board *board)
{
    if (board->socket < 0 || board->in_start < board->in_end)
        return;
    send_out(board);
    ssize_t count = recv(board->socket, board->in, sizeof board->in, MSG_DONTWAIT);
    board->in_start = 0;
    board->in_end = count > 0 ? (size_t)count : 0;
    if (count == 0 || (count < 0 && errno != EAGAIN))
        hang_up(board);
}

static void on_write(struct avr_t *avr, avr_io_addr_t address, uint8_t value, void *context)
{
    (void)avr;
    struct board *board = context;
    if (address == GPIOR0 && value == 1)
        dial(board);
    else if (address == GPIOR0)
        hang_up(board);
    else if (board->socket >= 0 && board->out_bytes < sizeof board->out)
        board->out[board->out_bytes++] = value;
}

static uint8_t on_read(struct avr_t *avr, avr_io_addr_t address, void *context)
{
    (void)avr;
    struct board *board = context;
    hear(board);
    if (address == GPIOR0)
        return board->socket >= 0;
    if (address == GPIOR2)
        return (uint8_t)(board->in_end - board->in_start);
    return board->in_start < board->in_end ? board->in[board->in_start++] : 0;
}

/* ---- pins ---- */

static void on_power(struct avr_irq_t *irq, uint32_t value, void *context)
{
    (void)irq;
    ((struct board *)context)->probe_has_power = value != 0;
}

/* A conversion begins: the voltage that is to come out as the next number. */
static void on_conversion(struct avr_irq_t *irq, uint32_t value, void *context)
{
    (void)irq;
    struct board *board = context;
    union {
        avr_adc_mux_t mux;
        uint32_t value;
    } what = {.value = value};
    uint32_t reads = (uint32_t)rand() % 1024;
    if (what.mux.src == 0)
        reads = board->probe_has_power ? ++board->measured : 0;
    avr_raise_irq(avr_io_getirq(board->avr, AVR_IOCTL_ADC_GETIRQ, what.mux.src),
                  (reads * VCC_MV + 1022) / 1023);
}

static void on_serial(struct avr_irq_t *irq, uint32_t value, void *context)
{
    (void)irq;
    (void)context;
    if (value != '\r')
        putchar((int)value);
}

static void wire(struct board *board)
{
    avr_t *avr = board->avr;
    uint32_t flags = 0;
    avr_ioctl(avr, AVR_IOCTL_UART_GET_FLAGS('0'), &flags);
    flags &= ~(uint32_t)AVR_UART_FLAG_STDIO;
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), on_serial,
                            board);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ('D'), 7), on_power, board);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_ADC_GETIRQ, ADC_IRQ_OUT_TRIGGER), on_conversion,
                            board);
    for (size_t i = 0; i < 3; i++) {
        avr_io_addr_t address = (avr_io_addr_t[]){GPIOR0, GPIOR1, GPIOR2}[i];
        avr_register_io_write(avr, address, on_write, board);
        avr_register_io_read(avr, address, on_read, board);
    }
}

/* ---- running ---- */

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static uint16_t symbol(const elf_firmware_t *firmware, const char *name)
{
    for (uint32_t i = 0; i < firmware->symbolcount; i++)
        if (strcmp(firmware->symbol[i]->symbol, name) == 0)
            return (uint16_t)firmware->symbol[i]->addr;
    fprintf(stderr, "simavr_run: the firmware has no symbol %s\n", name);
    exit(2);
}

static int run(struct board *board)
{
    avr_t *avr = board->avr;
    int64_t start_us = now_us();
    avr_cycle_count_t until = 0;
    while (!stopping) {
        until += SLICE;
        while (avr->cycle < until) {
            int state = avr_run(avr);
            if (state == cpu_Done || state == cpu_Crashed) {
                fprintf(stderr, "simavr_run: the firmware crashed\n");
                return 1;
            }
            uint16_t sp = (uint16_t)(avr->data[SPL] | avr->data[SPH] << 8);
            if (sp > board->heap_start && sp < board->lowest_sp)
                board->lowest_sp = sp;
        }
        if (board->socket >= 0)
            send_out(board);
        fflush(stdout);
        int64_t ahead_us = (int64_t)(until / (HZ / 1000000)) - (now_us() - start_us);
        if (ahead_us > 0)
            usleep((useconds_t)ahead_us);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct board board = {.socket = -1, .lowest_sp = 0xffff};
    elf_firmware_t firmware = {.frequency = HZ};
    if (argc != 3 || elf_read_firmware(argv[1], &firmware) != 0) {
        fprintf(stderr, "Usage: simavr_run FIRMWARE.elf PORT\n");
        return 2;
    }
    board.port = (uint16_t)strtoul(argv[2], NULL, 10);
    board.avr = avr_make_mcu_by_name("atmega328p");
    avr_init(board.avr);
    avr_load_firmware(board.avr, &firmware);
    board.avr->frequency = HZ;
    board.avr->vcc = board.avr->avcc = board.avr->aref = VCC_MV;
    board.brkval_at = symbol(&firmware, "__brkval");
    board.heap_start = symbol(&firmware, "__heap_start");
    wire(&board);
    signal(SIGTERM, on_signal);
    int status = run(&board);
    uint16_t top = (uint16_t)(board.avr->data[board.brkval_at] | board.avr->data[board.brkval_at + 1] << 8);
    printf("stack: %d bytes were never used\n", board.lowest_sp - (top > 0 ? top : board.heap_start));
    return status;
}
