// Every CPU kernel on one page: formula, shapes, scratch, and whether it sets (=) or adds (+=).
// Data is row-major; `ld` is the distance between rows in elements. Pointers to void are of the
// table's storage type, float32 or bfloat16; everything else is float32. Kernels never allocate,
// never throw and run on the calling thread.
//
// With float32 storage all instruction levels give the same bits: a matrix element is one fused
// multiply-add chain in the order of the summed index, a sum over a row adds every 16th element in
// each of 16 lanes, then the lanes as a tree. With bfloat16 storage that holds up to avx512; the
// instructions of avx512_bf16 and amx add products two and 32 at a time, each in an order of its own.
// At every level a row's results depend on that row alone.
//
// bfloat16 reads in pairs and in blocks of 32: rows that a product sums over must be readable, and
// finite, up to a multiple of 32 elements (what is past the end is multiplied by 0).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "data_type.h"

namespace masksearch {

// Elements a row of `width` takes in storage, so that it can be summed over.
constexpr ptrdiff_t stored_row(DataType type, int width) {
  return type == DataType::float32 ? width : (width + 31) / 32 * 32;
}

// c[i,j] = init[i,j] + sum_k a[i,k] b[k,j] for i < m, j < n. Kernels read b 32 columns at a time:
// columns j..j+31 of row k start at b + (j / 32) * b_panel + k * b_row, and must be readable
// (their values past n do not matter). In bfloat16 rows 2p and 2p + 1 of b lie interleaved, element
// by element, at row p: b + (j / 32) * b_panel + p * b_row. init null means 0; init_row 0 repeats one
// row; init may be c, which makes it +=.
template <class T>
struct Product {
  int m, n, k;
  const T* a;
  ptrdiff_t a_row;
  const T* b;
  ptrdiff_t b_row;
  ptrdiff_t b_panel;
  const float* init;
  ptrdiff_t init_row;
  float* c;
  ptrdiff_t c_row;
  // A hint: what is read after b and may be fetched while b is; null: nothing is known.
  const T* ahead = nullptr;
};
using MatMul = Product<void>;  // its type is that of the table of kernels it is given to

constexpr int kPanel = 32;  // columns in a panel of a packed matrix; also keys in a key tile
inline int panels(int n) { return (n + kPanel - 1) / kPanel; }
// Distance between (pairs of) rows, and between panels, of a packed matrix that is summed over k.
constexpr ptrdiff_t packed_row(DataType type) { return type == DataType::float32 ? 32 : 64; }
inline ptrdiff_t packed_panel(DataType type, int k) { return kPanel * stored_row(type, k); }
inline size_t packed_cells(DataType type, int n, int k) {
  return size_t(panels(n)) * size_t(packed_panel(type, k));
}

// Queries of one head against cached keys and values. Key tile t holds keys 32t..32t+31 as
// (D', 32) at keys + t * 32 * D', D' = stored_row(D); in bfloat16 as (D' / 2, 32, 2). Values are
// (S, D), in bfloat16 (S / 2, D, 2), readable and finite to a multiple of 32 rows.
struct Attention {
  int rows;          // queries
  int first_length;  // keys that row 0 sees
  int length_step;   // row r sees first_length + r * length_step keys
  int head_width;    // D
  const void* queries;
  ptrdiff_t query_row;
  const void* keys;
  const void* values;
  void* out;  // (rows, D)
  ptrdiff_t out_row;
  float* log_sums;  // row r at r * log_sums_row: log of the softmax's denominator; or null
  ptrdiff_t log_sums_row;
  float* scratch;   // attention_scratch(rows, longest length, D)
  const void* next_keys = nullptr;  // of the call after this one, where they are known
};
inline ptrdiff_t score_row(int length) { return ptrdiff_t(panels(length)) * kPanel + 16; }
inline size_t attention_scratch(int rows, int length, int head_width) {
  return size_t(rows) * (score_row(length) + head_width) + kPanel;
}

// One sequence and one key/value head with its `group` query heads; pointers at the sequence's
// first row and the first head of the group.
struct AttentionBackward {
  int length;      // S
  int head_width;  // D
  int group;       // query heads per key/value head
  const void* queries;  // (S, group * D) of the packed q, k, v rows, after RoPE
  const void* key_rows;
  ptrdiff_t qkv_row;
  const void* key_tiles;    // as in Attention
  const void* value_tiles;  // the same layout, of the values
  const void* out;          // (S, group * D) result of the forward pass
  const void* d_out;
  ptrdiff_t out_row;
  const float* log_sums;  // group rows of S at log_sums + g * log_sums_row
  ptrdiff_t log_sums_row;
  float* d_queries;
  float* d_keys;
  float* d_values;  // all with d_qkv_row
  ptrdiff_t d_qkv_row;
  float* scratch;  // attention_backward_scratch(S, D)
};
constexpr int kBackwardRows = 112;
inline size_t attention_backward_scratch(int length, int head_width) {
  const size_t rows = 3 * size_t(panels(length)) * kPanel + 2 * kBackwardRows;
  return 2 * attention_scratch(kBackwardRows, length, 0) + rows * head_width + 5 * kPanel;
}

// Of one row of logits: x_max, sum_j e^(x_j - x_max), and the distribution's entropy in nats.
struct RowStatistics {
  float largest;
  float sum;
  float entropy;
};

struct AdamWStep {
  float learning_rate, beta1, beta2, epsilon, decay;
  float gradient_scale;          // of clipping
  float first_correction;        // 1 / (1 - beta1^t)
  float second_root_correction;  // 1 / sqrt(1 - beta2^t)
};

struct Kernels {
  const char* name;  // "generic", "avx2", "avx512", "avx512-bf16", "amx"

  // c = init + a b; a is (m, k) with rows a_row apart.
  void (*matmul)(const MatMul&);
  // c = init + a^T b; a is (k, m) with rows a_row apart.
  void (*matmul_transposed)(const MatMul&);
  // packed (panels(n), k', 32) = w^T for w (n, k), k' = stored_row(k), in bfloat16 as
  // (panels(n), k' / 2, 32, 2); panels [first, last), zero past n and k.
  void (*pack_transposed)(int n, int k, const float* w, void* packed, int first, int last);
  // The same of w for w (k, n).
  void (*pack)(int n, int k, const float* w, void* packed, int first, int last);
  // The same of stored rows x (k, n).
  void (*pack_rows)(int n, int k, const void* x, ptrdiff_t ld, void* packed, int first, int last);
  // to[c] = from[c], rounded to the nearest, and 0 up to stored_row(width). `to` may begin at `from`.
  void (*narrow)(int width, const float* from, void* to);

  // Rows of out are stored_row(width) apart, here and below.
  // out[t,c] = x[t,c] w[c] r[t], r[t] = 1 / sqrt(mean_c x[t,c]^2 + epsilon). r may be null.
  void (*rms_norm)(int rows, int width, const float* x, const float* w, float epsilon, void* out,
                   float* r);
  // dx[t,c] += r (dy w - x r^2 mean_c(dy w x))
  void (*rms_norm_backward)(int rows, int width, const float* dy, const float* x, const float* w,
                            const float* r, float* dx);
  // out[t,c] = x[t,c] w[c] r[t] from a saved r.
  void (*rms_norm_again)(int rows, int width, const float* x, const float* w, const float* r,
                         void* out);
  // dw[c] += sum_t dy[t,c] x[t,c] r[t] for first <= c < last, in the order of t.
  void (*rms_norm_weight)(int rows, int width, const float* dy, const float* x, const float* r,
                          float* dw, int first, int last);
  // sums[c] += sum_t x[t,c] for first <= c < last, in the order of t.
  void (*column_sums)(int rows, const float* x, ptrdiff_t ld, float* sums, int first, int last);

  // Rotates `heads` heads of each row in place by its position: pairs (i, i + D/2), HF's layout.
  // table (positions, D): D/2 cosines then D/2 sines. direction 1, or -1 for the gradient.
  void (*rope)(int rows, int heads, int head_width, float* x, ptrdiff_t ld,
               const int32_t* positions, const float* table, float direction);

  // out[t,f] = silu(g) u, g = gate_up[t,f], u = gate_up[t,F+f].
  void (*swiglu)(int rows, int width, const float* gate_up, ptrdiff_t ld, void* out);
  // gate_up becomes its gradient, out = silu(g) u again.
  void (*swiglu_backward)(int rows, int width, const float* d_out, void* gate_up, ptrdiff_t ld,
                          void* out);

  // Key tiles (see Attention) of rows x at positions first.. of one sequence. A tile that is begun
  // here gets 0 in the lanes past the last key; later keys must come in order.
  void (*store_key_tiles)(int rows, int first, int head_width, const void* x, ptrdiff_t ld,
                          void* tiles);
  // The same for values, see Attention. In bfloat16 the rows of a tile of 32 that is begun here are
  // 0 past the last.
  void (*store_values)(int rows, int first, int head_width, const void* x, ptrdiff_t ld,
                       void* values);
  // out[r] = sum_j p_j values[j], p = softmax over the keys row r sees of q k / sqrt(D).
  void (*attention)(const Attention&);
  // d_queries, d_keys and d_values =; probabilities come back from the saved log sums.
  void (*attention_backward)(const AttentionBackward&);

  RowStatistics (*row_statistics)(int n, const float* logits);
  // logits become d_logits: g_lp (1[j = target] - p_j) - g_h p_j (log p_j + entropy).
  void (*row_gradient)(int n, float* logits, RowStatistics s, int target, float d_log_prob,
                       float d_entropy);
  // out[j] = e^(logits[j] - largest)
  void (*row_exponentials)(int n, const float* logits, float largest, float* out);
  // x *= factor
  void (*scale)(size_t n, float* x, float factor);
  // a += b
  void (*add)(size_t n, float* a, const float* b);

  // sum of squares in float64, 16 lanes.
  double (*sum_of_squares)(size_t n, const float* x);
  // PyTorch's AdamW on n parameters; gradients become 0.
  void (*adamw)(size_t n, const AdamWStep&, float* w, float* g, float* m, float* v);

  // Multiply-adds in registers only; returns the floating-point operations done. For the bench.
  double (*peak)(int64_t rounds);
};

enum class Level { generic, neon, avx2, avx512, avx512_bf16, amx };

// The levels that this processor, its system and this build can run for a storage type. Each can do
// what those before it can; levels past avx512 are for bfloat16.
const std::vector<Level>& levels(DataType type = DataType::float32);
inline Level best_level(DataType type = DataType::float32) { return levels(type).back(); }
// Kernels of a level. Throws std::runtime_error where the processor or the build lacks it.
const Kernels& kernels_of(Level level, DataType type = DataType::float32);
// Used by models made from now on: the best level, or what set_default_level has set for the type.
const Kernels& default_kernels(DataType type = DataType::float32);
// For tests and comparisons.
void set_default_level(Level level, DataType type = DataType::float32);

}  // namespace masksearch
