#include "service/job_keep.h"

#include "core/configuration_pack.h"
#include "core/log.h"
#include "service/codec.h"
#include "service/keep.h"
#include "service/md_run.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_OFFSET 256u
#define LOG_OFFSET GD_PAGE
#define BLOB_OFFSET (LOG_OFFSET + GD_JOB_LOG_LINES * sizeof(struct gd_job_line))
#define NUM_SECTIONS (GD_JOB_TEXTS + GD_MD_FILES + 1) /* texts, paths with their zero, the packed start */
#define SECTION_START (GD_JOB_TEXTS + GD_MD_FILES)
#define ABSENT UINT64_MAX

/* The order. Written once, before the holder gets it, but for what stands behind `checksum`. */
struct record {
    uint8_t uuid[16];
    uint64_t number;
    int64_t steps, total_steps, publish_every; /* as ordered; what that comes to */
    int32_t threads, continue_run, resume, reserved;
    uint64_t section[NUM_SECTIONS]; /* bytes, each padded to eight in the blob; ABSENT: not given */
    uint64_t blob_checksum;
    uint64_t checksum; /* of everything before */

    _Atomic uint32_t starts; /* since it last got further */
    _Atomic uint32_t paused, cancelled;
    _Atomic int64_t done;
    struct gd_job_rates rates; /* a change while this is written is lost, no more */
};
_Static_assert(RECORD_OFFSET + sizeof(struct record) <= GD_PAGE && RECORD_OFFSET >= sizeof(struct gd_segment_head),
               "the record fits the first page");

struct slot {
    _Atomic uint64_t sequence; /* stored last; 0: not whole */
    uint64_t bytes, checksum;  /* checksum: of the mark and bytes; the engine's bytes have one of their own */
    struct gd_job_mark mark;
};
#define SLOT_DATA 128u
_Static_assert(sizeof(struct slot) <= SLOT_DATA, "the slot's head fits before its data");

struct gd_job_kept {
    struct gd_keep *keep;
    struct gd_segment job, engine;
    int engine_handed;    /* the holder has it */
    uint64_t sequence;    /* of the newest slot; the job's thread, and the loop thread while that sleeps */
    int64_t resumed_step; /* where this start began; INT64_MIN: not resumed */
};

static uint64_t checksum(uint64_t h, const void *data, size_t bytes)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < bytes; i++)
        h = (h ^ p[i]) * 0x100000001b3u; /* FNV-1a: against what was not finished, not against an attacker */
    return h;
}
#define CHECKSUM_BEGIN 0xcbf29ce484222325u

static struct record *record_of(const struct gd_job_kept *kept)
{
    return (struct record *)((char *)kept->job.base + RECORD_OFFSET);
}

static size_t padded(uint64_t bytes)
{
    return bytes == ABSENT ? 0 : ((size_t)bytes + 7u) & ~(size_t)7;
}

static uint64_t record_checksum(const struct record *record)
{
    return checksum(CHECKSUM_BEGIN, record, offsetof(struct record, checksum));
}

/* ---- writing an order ---- */

static size_t measure(struct record *record, const struct gd_job_order *order, const struct gd_configuration *start)
{
    size_t total = 0;
    for (int k = 0; k < GD_JOB_TEXTS; k++)
        record->section[k] = order->text[k].data != NULL ? order->text[k].bytes : ABSENT;
    for (int k = 0; k < GD_MD_FILES; k++)
        record->section[GD_JOB_TEXTS + k] = order->path[k] != NULL ? strlen(order->path[k]) + 1 : ABSENT;
    record->section[SECTION_START] = gd_configuration_packed_bytes(start);
    if (!record->resume) /* only to be reported */
        for (int k = 0; k < NUM_SECTIONS; k++)
            record->section[k] = ABSENT;
    for (int k = 0; k < NUM_SECTIONS; k++)
        total += padded(record->section[k]);
    return total;
}

static void fill_blob(char *blob, const struct record *record, const struct gd_job_order *order, const struct gd_configuration *start)
{
    for (int k = 0; k < NUM_SECTIONS; k++) {
        if (record->section[k] == ABSENT)
            continue;
        if (k < GD_JOB_TEXTS)
            memcpy(blob, order->text[k].data, order->text[k].bytes);
        else if (k < SECTION_START)
            memcpy(blob, order->path[k - GD_JOB_TEXTS], (size_t)record->section[k]);
        else
            gd_configuration_pack(start, blob);
        blob += padded(record->section[k]);
    }
}

static int create(struct gd_job_kept *kept, const uint8_t uuid[16], uint64_t number, const struct gd_job_spec *spec,
                  const struct gd_job_order *order, struct gd_err *err)
{
    struct record record = {
        .number = number,
        .steps = order->steps,
        .total_steps = spec->steps,
        .publish_every = order->publish_every,
        .threads = order->threads,
        .continue_run = order->continue_run,
        .resume = order->resume,
        .rates = {-1, -1, -1, NAN},
    };
    memcpy(record.uuid, uuid, sizeof record.uuid);
    size_t blob = measure(&record, order, spec->start);
    int code = gd_segment_create(&kept->job, "gromosd-job", BLOB_OFFSET + blob, 0, err);
    if (code != 0)
        return code;
    fill_blob((char *)kept->job.base + BLOB_OFFSET, &record, order, spec->start);
    record.blob_checksum = checksum(CHECKSUM_BEGIN, (char *)kept->job.base + BLOB_OFFSET, blob);
    record.checksum = record_checksum(&record);
    memcpy(record_of(kept), &record, sizeof record);
    struct gd_segment_head *head = kept->job.base;
    head->segment_bytes = kept->job.bytes;
    memcpy(head->uuid, uuid, sizeof head->uuid);
    atomic_store_explicit(&head->layout, GD_LAYOUT, memory_order_release);
    return 0;
}

size_t gd_job_kept_bytes(const struct gd_keep *keep, const struct gd_job_spec *spec, const struct gd_job_order *order, size_t state_bytes)
{
    struct record record = {.resume = order->resume};
    if (!gd_keep_is_on(keep))
        return 0;
    return BLOB_OFFSET + measure(&record, order, spec->start) + (order->resume ? GD_PAGE + 2 * (SLOT_DATA + state_bytes) : 0);
}

void gd_job_kept_create(struct gd_job_kept **out, struct gd_keep *keep, const uint8_t uuid[16], uint64_t number,
                        const struct gd_job_spec *spec, const struct gd_job_order *order)
{
    struct gd_err err = {0};
    if (!gd_keep_is_on(keep))
        return;
    struct gd_job_kept *kept = calloc(1, sizeof *kept);
    if (kept == NULL)
        return;
    kept->keep = keep;
    kept->job = kept->engine = GD_SEGMENT_NONE;
    kept->resumed_step = INT64_MIN;
    if (create(kept, uuid, number, spec, order, &err) != 0) {
        gd_log_warn("keep", "job %llu will not survive this process: %s", (unsigned long long)number, err.text);
        free(kept);
        return;
    }
    gd_keep_store_job(keep, number, kept->job.fd);
    *out = kept;
}

/* ---- coming back ---- */

static int check_record(const struct gd_segment *segment, struct gd_err *err)
{
    const struct gd_segment_head *head = segment->base;
    const struct record *record = (const struct record *)((const char *)segment->base + RECORD_OFFSET);
    size_t blob = 0, room;
    if (segment->bytes < BLOB_OFFSET || atomic_load_explicit(&head->layout, memory_order_acquire) != GD_LAYOUT)
        return gd_err_set(err, GD_E_CORRUPT_DATA, "a kept job is not of this layout version");
    if (record->checksum != record_checksum(record))
        return gd_err_set(err, GD_E_CORRUPT_DATA, "a kept job's record is damaged");
    room = segment->bytes - BLOB_OFFSET;
    for (int k = 0; k < NUM_SECTIONS; k++) {
        if (record->section[k] != ABSENT && record->section[k] > room - blob)
            return gd_err_set(err, GD_E_CORRUPT_DATA, "a kept job is longer than its memory");
        blob += padded(record->section[k]);
        if (blob > room)
            return gd_err_set(err, GD_E_CORRUPT_DATA, "a kept job is longer than its memory");
    }
    if (record->blob_checksum != checksum(CHECKSUM_BEGIN, (const char *)segment->base + BLOB_OFFSET, blob))
        return gd_err_set(err, GD_E_CORRUPT_DATA, "a kept job's order is damaged");
    return 0;
}

static size_t slot_stride(const struct gd_segment *engine)
{
    return (engine->bytes - GD_PAGE) / 2 & ~(size_t)63;
}

static struct slot *slot_at(const struct gd_segment *engine, uint64_t sequence)
{
    return (struct slot *)((char *)engine->base + GD_PAGE + (sequence & 1) * slot_stride(engine));
}

static uint64_t slot_checksum(const struct slot *slot)
{
    return checksum(checksum(CHECKSUM_BEGIN, &slot->mark, sizeof slot->mark), &slot->bytes, sizeof slot->bytes);
}

/* The sequence of the newest whole slot; 0: none. */
static uint64_t newest_slot(const struct gd_segment *engine)
{
    uint64_t newest = 0;
    if (engine->fd < 0 || engine->bytes < GD_PAGE + 2 * SLOT_DATA)
        return 0;
    for (uint64_t which = 0; which < 2; which++) {
        const struct slot *slot = slot_at(engine, which);
        uint64_t sequence = atomic_load_explicit(&slot->sequence, memory_order_acquire);
        if (sequence > newest && (sequence & 1) == which && slot->bytes <= slot_stride(engine) - SLOT_DATA &&
            slot->checksum == slot_checksum(slot))
            newest = sequence;
    }
    return newest;
}

int gd_job_kept_adopt(struct gd_job_kept **out, struct gd_keep *keep, struct gd_segment *job, struct gd_segment *engine, struct gd_err *err)
{
    int code = check_record(job, err);
    struct gd_job_kept *kept = code == 0 ? calloc(1, sizeof *kept) : NULL;
    if (code == 0 && kept == NULL)
        code = gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a kept job");
    if (code != 0)
        return code;
    kept->keep = keep;
    kept->job = *job;
    kept->engine = *engine;
    *job = *engine = GD_SEGMENT_NONE;
    kept->engine_handed = kept->engine.fd >= 0;
    kept->sequence = newest_slot(&kept->engine);
    kept->resumed_step = kept->sequence != 0 ? slot_at(&kept->engine, kept->sequence)->mark.step : INT64_MIN;
    *out = kept;
    return 0;
}

const uint8_t *gd_job_kept_uuid(const struct gd_job_kept *kept)
{
    return record_of(kept)->uuid;
}

uint64_t gd_job_kept_number(const struct gd_job_kept *kept)
{
    return record_of(kept)->number;
}

int gd_job_kept_resumes(const struct gd_job_kept *kept)
{
    return record_of(kept)->resume;
}

int gd_job_kept_keeps_dying(const struct gd_job_kept *kept)
{
    return atomic_load(&record_of(kept)->starts) >= 2;
}

int gd_job_kept_is_paused(const struct gd_job_kept *kept)
{
    return atomic_load(&record_of(kept)->paused) != 0;
}

int gd_job_kept_is_cancelled(const struct gd_job_kept *kept)
{
    return atomic_load(&record_of(kept)->cancelled) != 0;
}

void gd_job_kept_facts(const struct gd_job_kept *kept, int64_t *steps, int64_t *done, int *threads)
{
    const struct record *record = record_of(kept);
    *steps = record->total_steps;
    *done = atomic_load(&record->done);
    *threads = record->threads;
}

int gd_job_kept_order(const struct gd_job_kept *kept, struct gd_job_order *order, struct gd_configuration **start, struct gd_err *err)
{
    const struct record *record = record_of(kept);
    const char *at = (const char *)kept->job.base + BLOB_OFFSET, *packed = NULL;
    memset(order, 0, sizeof *order);
    for (int k = 0; k < NUM_SECTIONS; k++) {
        if (record->section[k] == ABSENT)
            continue;
        if (k < GD_JOB_TEXTS) {
            order->text[k].data = at;
            order->text[k].bytes = (size_t)record->section[k];
        } else if (k < SECTION_START) {
            order->path[k - GD_JOB_TEXTS] = at;
        } else {
            packed = at;
        }
        at += padded(record->section[k]);
    }
    order->steps = record->steps;
    order->publish_every = record->publish_every;
    order->threads = record->threads;
    order->continue_run = record->continue_run;
    order->resume = record->resume;
    if (packed == NULL)
        return gd_err_set(err, GD_E_CORRUPT_DATA, "a kept job has no start");
    return gd_configuration_unpack(start, packed, (size_t)record->section[SECTION_START], err);
}

/* ---- the log ---- */

static struct gd_job_line *line_at(const struct gd_job_kept *kept, uint64_t number)
{
    return (struct gd_job_line *)((char *)kept->job.base + LOG_OFFSET) + number % GD_JOB_LOG_LINES;
}

/* Sequence 0 while it is written: a daemon that dies meanwhile leaves no half line. */
void gd_job_kept_put_line(struct gd_job_kept *kept, const struct gd_job_line *line)
{
    if (kept == NULL || line == NULL)
        return;
    struct gd_job_line *to = line_at(kept, line->sequence - 1), copy = *line;
    copy.sequence = 0;
    __atomic_store_n(&to->sequence, 0, __ATOMIC_SEQ_CST);
    *to = copy;
    __atomic_store_n(&to->sequence, line->sequence, __ATOMIC_SEQ_CST);
}

void gd_job_kept_lines(const struct gd_job_kept *kept, struct gd_job_log *log)
{
    uint64_t newest = 0;
    for (uint64_t k = 0; k < GD_JOB_LOG_LINES; k++)
        if (line_at(kept, k)->sequence > newest && (line_at(kept, k)->sequence - 1) % GD_JOB_LOG_LINES == k)
            newest = line_at(kept, k)->sequence;
    for (uint64_t s = newest > GD_JOB_LOG_LINES ? newest - GD_JOB_LOG_LINES + 1 : 1; s <= newest; s++) {
        struct gd_job_line line = *line_at(kept, s - 1);
        line.text[sizeof line.text - 1] = '\0';
        if (line.sequence == s && gd_utf8_valid(line.text, strlen(line.text)))
            gd_job_log_take(log, &line);
    }
}

/* ---- while it runs: loop thread ---- */

void gd_job_kept_started(struct gd_job_kept *kept)
{
    if (kept != NULL)
        atomic_fetch_add(&record_of(kept)->starts, 1);
}

void gd_job_kept_published(struct gd_job_kept *kept, int64_t done, int rests)
{
    if (kept == NULL)
        return;
    struct record *record = record_of(kept);
    atomic_store(&record->done, done);
    if (kept->engine.fd >= 0 && !kept->engine_handed) {
        gd_keep_store_engine(kept->keep, record->number, kept->engine.fd);
        kept->engine_handed = 1;
    }
    /* Being where it began is not getting further. */
    if (rests || kept->sequence == 0 || slot_at(&kept->engine, kept->sequence)->mark.step > kept->resumed_step)
        atomic_store(&record->starts, 0);
}

void gd_job_kept_paused(struct gd_job_kept *kept, int paused)
{
    if (kept != NULL)
        atomic_store(&record_of(kept)->paused, (uint32_t)paused);
}

void gd_job_kept_cancelled(struct gd_job_kept *kept)
{
    if (kept != NULL)
        atomic_store(&record_of(kept)->cancelled, 1);
}

void gd_job_kept_drop(struct gd_job_kept **pointer)
{
    struct gd_job_kept *kept = *pointer;
    if (kept == NULL)
        return;
    const struct record *record = record_of(kept);
    gd_keep_drop_job(kept->keep, record->number, kept->engine_handed);
    gd_job_kept_free(pointer);
}

void gd_job_kept_free(struct gd_job_kept **pointer)
{
    struct gd_job_kept *kept = *pointer;
    *pointer = NULL;
    if (kept == NULL)
        return;
    gd_segment_close(&kept->job);
    gd_segment_close(&kept->engine);
    free(kept);
}

/* ---- the job's thread ---- */

int gd_job_kept_last(const struct gd_job_kept *kept, struct gd_job_mark *mark, const void **data, size_t *bytes)
{
    if (kept == NULL || kept->sequence == 0)
        return 0;
    const struct slot *slot = slot_at(&kept->engine, kept->sequence);
    *mark = slot->mark;
    *data = (const char *)slot + SLOT_DATA;
    *bytes = (size_t)slot->bytes;
    return 1;
}

static int need_engine(struct gd_job_kept *kept, size_t bytes)
{
    struct gd_err err = {0};
    if (kept->engine.fd >= 0)
        return slot_stride(&kept->engine) >= SLOT_DATA + bytes ? 0 : -1;
    size_t stride = (SLOT_DATA + bytes + 63u) & ~(size_t)63;
    if (gd_segment_create(&kept->engine, "gromosd-engine", GD_PAGE + 2 * stride, 0, &err) == 0)
        return 0;
    gd_log_warn("keep", "job %llu could not resume by itself: %s", (unsigned long long)gd_job_kept_number(kept), err.text);
    return -1;
}

void gd_job_kept_save(struct gd_job_kept *kept, struct gd_md_run *run, const struct gd_job_mark *mark)
{
    if (kept == NULL || !record_of(kept)->resume)
        return;
    const struct gd_md *md = gd_md_run_engine(run);
    size_t bytes = gd_md_state_size(md);
    if (need_engine(kept, bytes) != 0)
        return;
    struct slot *slot = slot_at(&kept->engine, kept->sequence + 1);
    atomic_store(&slot->sequence, 0); /* whoever finds this half done takes the other one */
    slot->mark = *mark;
    slot->bytes = bytes;
    slot->checksum = slot_checksum(slot);
    gd_md_save_state(md, (char *)slot + SLOT_DATA);
    atomic_store(&slot->sequence, ++kept->sequence);
}

void gd_job_kept_set_rates(struct gd_job_kept *kept, const struct gd_job_rates *rates)
{
    if (kept != NULL)
        record_of(kept)->rates = *rates;
}

struct gd_job_rates gd_job_kept_rates(const struct gd_job_kept *kept)
{
    return kept != NULL ? record_of(kept)->rates : (struct gd_job_rates){-1, -1, -1, NAN};
}
