/* The described machine behind the fake driver libraries.
 *
 * The environment variable GPUDOCTOR_LAB_MACHINE names a file of key=value lines; a byte of a value may be written
 * as %XX. A reading whose key is absent is one that this GPU does not support. tests/lab/drivers/fake.py writes it.
 *
 *   fault.<function>[.<gpu>] = [after N] error N | hang | slow | spin | flood | segv | abort | exit N | print TEXT
 */
#ifndef GPUDOCTOR_LAB_H
#define GPUDOCTOR_LAB_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAB_LINES 8192
#define LAB_KEY 256

static struct { char *key, *value; } lab_lines[LAB_LINES];
static int lab_count = -1;

static void lab_decode(char *text) {
    char *out = text;
    for (; *text; text++) {
        unsigned byte;
        if (*text == '%' && sscanf(text + 1, "%2x", &byte) == 1) {
            *out++ = (char)byte;
            text += 2;
        } else {
            *out++ = *text;
        }
    }
    *out = 0;
}

static void lab_read(void) {
    const char *path = getenv("GPUDOCTOR_LAB_MACHINE");
    FILE *file = path ? fopen(path, "rb") : NULL;
    lab_count = 0;
    if (!file) {
        fprintf(stderr, "GPUDOCTOR_LAB_MACHINE does not name a readable file\n");
        abort();
    }
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, file) > 0 && lab_count < LAB_LINES) {
        line[strcspn(line, "\n")] = 0;
        char *equals = strchr(line, '=');
        if (!equals) continue;
        *equals = 0;
        lab_lines[lab_count].key = strdup(line);
        lab_lines[lab_count].value = strdup(equals + 1);
        lab_decode(lab_lines[lab_count++].value);
    }
    free(line);
    fclose(file);
}

/* The value of a key, NULL where the machine does not have it. */
static const char *lab_value(const char *key) {
    if (lab_count < 0) lab_read();
    for (int i = 0; i < lab_count; i++)
        if (!strcmp(lab_lines[i].key, key)) return lab_lines[i].value;
    return NULL;
}

/* Numbers separated by commas; "-" is all ones, NVML's "not available". Returns how many were read. */
static int lab_numbers(const char *key, unsigned long long *out, int most) {
    const char *text = lab_value(key);
    int count = 0;
    while (text && *text && count < most) {
        char *end;
        if (*text == '-') {
            out[count++] = ~0ULL;
            text++;
        } else {
            unsigned long long number = strtoull(text, &end, 0);
            if (end == text) break;
            out[count++] = number;
            text = end;
        }
        if (*text == ',' || *text == ':') text++;
    }
    return count;
}

/* "after N FAULT" works N times first. Returns the fault that is due at this call, NULL for none. */
static const char *lab_due(const char *fault) {
    static struct { const char *fault; int calls; } seen[64];
    int calls, start = 0;
    if (!fault || sscanf(fault, "after %d %n", &calls, &start) != 1 || !start) return fault;
    for (int i = 0; i < 64; i++) {
        if (seen[i].fault && seen[i].fault != fault) continue;
        seen[i].fault = fault;
        return seen[i].calls++ < calls ? NULL : fault + start;
    }
    abort();
}

/* Act out a fault; returns the error code to answer with, 0 for none. */
static int lab_act(const char *described) {
    volatile unsigned spin = 0;
    const char *fault = lab_due(described);
    if (!fault) return 0;
    if (!strncmp(fault, "error ", 6)) return atoi(fault + 6);
    if (!strcmp(fault, "hang")) for (;;) pause();
    if (!strcmp(fault, "spin")) for (;;) spin++;
    if (!strcmp(fault, "flood")) for (;;) fputs("a line that says nothing\n", stdout);
    if (!strcmp(fault, "slow")) return usleep(500000);
    if (!strcmp(fault, "segv")) *(volatile int *)(size_t)(spin + 8) = 1;
    if (!strcmp(fault, "abort")) abort();
    if (!strncmp(fault, "exit ", 5)) _exit(atoi(fault + 5));
    if (!strncmp(fault, "print ", 6)) {
        fputs(fault + 6, stdout);
        fflush(stdout);
        return 0;
    }
    fprintf(stderr, "unknown fault in the described machine: %s\n", fault);
    abort();
}

/* The fault that the machine describes for a function, on any GPU or on this one (gpu < 0: no GPU is concerned). */
static int lab_fault(const char *function, int gpu) {
    char key[LAB_KEY];
    snprintf(key, sizeof key, "fault.%s", function);
    int code = lab_act(lab_value(key));
    if (code || gpu < 0) return code;
    snprintf(key, sizeof key, "fault.%s.%d", function, gpu);
    return lab_act(lab_value(key));
}

#endif
