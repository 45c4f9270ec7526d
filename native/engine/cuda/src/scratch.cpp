// How much scratch the kernels of cuda_kernels.h ask for. Apart from them, so that memory can be
// planned where there is no CUDA.
#include "cuda_kernels.h"
#include "partial_rows.h"

namespace masksearch::cuda {

size_t rms_norm_backward_scratch(int rows, int width) {
  return size_t(row_groups(rows)) * size_t(width);
}

size_t column_sums_scratch(int rows, int width) {
  return size_t(row_groups(rows)) * size_t(width);
}

size_t norm_heads_backward_scratch(const AttentionShape& shape, int rows) {
  return size_t(row_groups(rows)) * 2 * size_t(shape.head_width);
}

size_t attention_backward_scratch(const AttentionShape& shape, int rows) {
  return size_t(shape.heads) * size_t(rows);
}

size_t kept_score_bytes(const AttentionShape& shape, int64_t pairs, int key_heads) {
  return size_t(pairs) * size_t(key_heads * shape.heads_per_key()) * kTileRows * kTileRows *
         sizeof(bf16);
}

size_t decode_scratch(const AttentionShape& shape, int sequences, int most_keys) {
  return size_t(sequences) * size_t(shape.heads) * size_t(decode_splits(most_keys)) *
         size_t(decode_partial_floats(shape.head_width));
}

}  // namespace masksearch::cuda
