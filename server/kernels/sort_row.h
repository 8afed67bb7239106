/* Sorting one row of pairs by j, distances with it. Included for REAL float and double, by the scalar set and the AVX2
 * one: the code is the same, but there the population count of a word is an instruction.
 *
 * A row holds some hundred different j that lie evenly over a range. Each sets one bit in a bitmap of 32 bits per entry; the
 * number of bits below its own is the place of an entry. The few that find their bit taken are put in afterwards, one by
 * one. Rows that are very long, or whose j stand in clusters, are sorted digit by digit instead. */

#define SORT_WORDS 1024 /* of bitmap, at most: for 2048 entries */
#define SORT_DIGIT 8

/* By digits of j from the lowest up. */
static void sort_by_digits(const struct gd_row_sort *scratch, int32_t *row_j, REAL *row_d, size_t count)
{
    uint64_t *keys = scratch->keys, *other = scratch->keys + scratch->longest;
    REAL *copy = scratch->copy;
    for (size_t k = 0; k < count; k++)
        keys[k] = (uint64_t)(uint32_t)row_j[k] << 32 | k;
    for (int shift = 32; shift < 64; shift += SORT_DIGIT) {
        uint32_t place[1 << SORT_DIGIT] = {0};
        for (size_t k = 0; k < count; k++)
            place[keys[k] >> shift & 255]++;
        uint32_t before = 0;
        for (size_t d = 0; d < 1 << SORT_DIGIT; d++) {
            uint32_t here = place[d];
            place[d] = before;
            before += here;
        }
        for (size_t k = 0; k < count; k++)
            other[place[keys[k] >> shift & 255]++] = keys[k];
        uint64_t *swap = keys;
        keys = other;
        other = swap;
    }
    memcpy(copy, row_d, count * sizeof *row_d);
    for (size_t k = 0; k < count; k++) {
        row_j[k] = (int32_t)(keys[k] >> 32);
        row_d[k] = copy[(uint32_t)keys[k]];
    }
}

/* Puts (j, d) into its place, which is not above `to`, among the first `count` entries, which are sorted. */
static void insert_entry(int32_t *row_j, REAL *row_d, size_t count, size_t to, int32_t j, REAL d)
{
    while (to > 0 && row_j[to - 1] > j)
        to--;
    memmove(row_j + to + 1, row_j + to, (count - to) * sizeof *row_j);
    memmove(row_d + to + 1, row_d + to, (count - to) * sizeof *row_d);
    row_j[to] = j;
    row_d[to] = d;
}

/* How many bits stand below bit s. */
#define PLACE_OF(s) (below[(s) >> 6] + (size_t)__builtin_popcountll(map[(s) >> 6] & (((uint64_t)1 << ((s)&63)) - 1)))

static void sort_row(void *context, int32_t *row_j, REAL *row_d, size_t count)
{
    const struct gd_row_sort *scratch = context;
    int32_t low = INT32_MAX, high = 0;
    for (size_t k = 0; k < count; k++) {
        low = row_j[k] < low ? row_j[k] : low;
        high = row_j[k] > high ? row_j[k] : high;
    }
    size_t words = 16;
    while (words < SORT_WORDS && 2 * words < count)
        words *= 2;
    if (count > 2 * words) {
        sort_by_digits(scratch, row_j, row_d, count);
        return;
    }

    uint64_t map[SORT_WORDS];
    uint32_t below[SORT_WORDS];
    uint32_t *slot = scratch->slot, *late = scratch->slot + scratch->longest;
    uint64_t scale = ((uint64_t)words << (6 + 32)) / ((uint64_t)(uint32_t)(high - low) + 1);
    size_t num_late = 0;
    memset(map, 0, words * sizeof *map);
    for (size_t k = 0; k < count; k++) {
        uint32_t s = (uint32_t)((uint64_t)(uint32_t)(row_j[k] - low) * scale >> 32);
        uint64_t word = map[s >> 6], bit = (uint64_t)1 << (s & 63);
        slot[k] = s;
        late[num_late] = (uint32_t)k;
        num_late += (word & bit) != 0;
        map[s >> 6] = word | bit;
    }
    if (num_late > 8 + count / 8) {
        sort_by_digits(scratch, row_j, row_d, count);
        return;
    }
    for (size_t w = 0, bits = 0; w < words; w++) {
        below[w] = (uint32_t)bits;
        bits += (size_t)__builtin_popcountll(map[w]);
    }
    int32_t *sorted_j = scratch->copy_j;
    REAL *sorted_d = scratch->copy;
    for (size_t k = count; k-- > 0;) { /* backwards: of those that share a bit, the one that set it writes last */
        size_t to = PLACE_OF(slot[k]);
        sorted_j[to] = row_j[k];
        sorted_d[to] = row_d[k];
    }
    for (size_t l = 0; l < num_late; l++) { /* behind what holds its bit, and what was put in before it */
        uint32_t s = slot[late[l]];
        size_t present = count - num_late + l, to = PLACE_OF(s) + 1 + l;
        insert_entry(sorted_j, sorted_d, present, to < present ? to : present, row_j[late[l]], row_d[late[l]]);
    }
    memcpy(row_j, sorted_j, count * sizeof *row_j);
    memcpy(row_d, sorted_d, count * sizeof *row_d);
}
