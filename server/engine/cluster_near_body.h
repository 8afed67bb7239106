/* Which bounding boxes are near another, for one instruction set: the file that includes this defines NAME(of a function). The
 * loop over a block is one that compilers turn into vectors. */
static int32_t NAME(near)(const struct gd_cluster_boxes *boxes, const float low[3], const float high[3], float radius2,
                          int32_t from, int32_t to, int32_t *out)
{
    int32_t found = 0;
    for (int32_t first = from; first < to; first += GD_CLUSTER_BLOCK) {
        int32_t hit[GD_CLUSTER_BLOCK], left = to - first < GD_CLUSTER_BLOCK ? to - first : GD_CLUSTER_BLOCK;
        for (int k = 0; k < GD_CLUSTER_BLOCK; k++) {
            float sum = 0.0f;
            for (int d = 0; d < 3; d++) {
                float below = boxes->low[d][first + k] - high[d], above = low[d] - boxes->high[d][first + k];
                float gap = below > above ? below : above;
                gap = gap > 0.0f ? gap : 0.0f;
                sum += gap * gap;
            }
            hit[k] = sum <= radius2;
        }
        for (int32_t k = 0; k < left; k++) {
            out[found] = first + k;
            found += hit[k];
        }
    }
    return found;
}
