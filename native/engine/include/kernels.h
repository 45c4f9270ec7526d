// Every CPU kernel on one page: formula, shapes, scratch, and whether it sets (=) or adds (+=).
// All data is float32 and row-major; `ld` is the distance between rows in floats. Kernels never
// allocate, never throw and run on the calling thread. Equal at every instruction level bit for
// bit: a matrix element is one fused multiply-add chain in the order of the summed index, a sum
// over a row adds every 16th element in each of 16 lanes, then the lanes as a tree.
#pragma once

#include <cstddef>
#include <cstdint>

namespace masksearch {

// c[i,j] = init[i,j] + sum_k a[i,k] b[k,j] for i < m, j < n. Kernels read b 32 columns at a time:
// columns j..j+31 of row k start at b + (j / 32) * b_panel + k * b_row, and must be readable
// (their values past n do not matter). init null means 0; init_row 0 repeats one row; init may be
// c, which makes it +=.
struct MatMul {
  int m, n, k;
  const float* a;
  ptrdiff_t a_row;
  const float* b;
  ptrdiff_t b_row;
  ptrdiff_t b_panel;
  const float* init;
  ptrdiff_t init_row;
  float* c;
  ptrdiff_t c_row;
};

constexpr int kPanel = 32;  // columns in a panel of a packed matrix; also keys in a key tile
inline int panels(int n) { return (n + kPanel - 1) / kPanel; }
inline size_t packed_floats(int n, int k) { return size_t(panels(n)) * kPanel * k; }

// Queries of one head against cached keys and values. Key tile t holds keys 32t..32t+31 as
// (D, 32) at keys + t * 32 * D; values are (S, D), readable to a multiple of 32 rows.
struct Attention {
  int rows;          // queries
  int first_length;  // keys that row 0 sees
  int length_step;   // row r sees first_length + r * length_step keys
  int head_width;    // D
  const float* queries;
  ptrdiff_t query_row;
  const float* keys;
  const float* values;
  float* out;  // (rows, D)
  ptrdiff_t out_row;
  float* log_sums;  // row r at r * log_sums_row: log of the softmax's denominator; or null
  ptrdiff_t log_sums_row;
  float* scratch;   // attention_scratch(rows, longest length)
};
inline ptrdiff_t score_row(int length) { return ptrdiff_t(panels(length)) * kPanel + 16; }
inline size_t attention_scratch(int rows, int length) {
  return size_t(rows) * score_row(length) + kPanel;
}

// One sequence and one key/value head with its `group` query heads; pointers at the sequence's
// first row and the first head of the group.
struct AttentionBackward {
  int length;      // S
  int head_width;  // D
  int group;       // query heads per key/value head
  const float* queries;  // (S, group * D) of the packed q, k, v rows, after RoPE
  const float* key_rows;
  ptrdiff_t qkv_row;
  const float* key_tiles;    // as in Attention
  const float* value_tiles;  // the same layout, of the values
  const float* out;          // (S, group * D) result of the forward pass
  const float* d_out;
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
  const size_t rows = 3 * size_t(length) + 2 * kBackwardRows;
  return 2 * attention_scratch(kBackwardRows, length) + rows * head_width + 5 * kPanel;
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
  const char* name;  // "generic", "avx2", "avx512"

  // c = init + a b; a is (m, k) with rows a_row apart.
  void (*matmul)(const MatMul&);
  // c = init + a^T b; a is (k, m) with rows a_row apart.
  void (*matmul_transposed)(const MatMul&);
  // packed (panels(n), k, 32) = w^T for w (n, k); panels [first, last), zero past n.
  void (*pack_transposed)(int n, int k, const float* w, float* packed, int first, int last);
  // packed (panels(n), k, 32) = w for w (k, n); panels [first, last), zero past n.
  void (*pack)(int n, int k, const float* w, float* packed, int first, int last);

  // out[t,c] = x[t,c] w[c] r[t], r[t] = 1 / sqrt(mean_c x[t,c]^2 + epsilon). r may be null.
  void (*rms_norm)(int rows, int width, const float* x, const float* w, float epsilon, float* out,
                   float* r);
  // dx[t,c] += r (dy w - x r^2 mean_c(dy w x)); out[t,c] = x w r again, if out is not null.
  void (*rms_norm_backward)(int rows, int width, const float* dy, const float* x, const float* w,
                            const float* r, float* dx);
  // out[t,c] = x[t,c] w[c] r[t] from a saved r.
  void (*rms_norm_again)(int rows, int width, const float* x, const float* w, const float* r,
                         float* out);
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
  void (*swiglu)(int rows, int width, const float* gate_up, ptrdiff_t ld, float* out);
  // gate_up becomes its gradient, out = silu(g) u again.
  void (*swiglu_backward)(int rows, int width, const float* d_out, float* gate_up, ptrdiff_t ld,
                          float* out);

  // Key tiles (see Attention) of rows x at positions first.. of one sequence. A tile that is begun
  // here gets 0 in the lanes past the last key; later keys must come in order.
  void (*store_key_tiles)(int rows, int first, int head_width, const float* x, ptrdiff_t ld,
                          float* tiles);
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

enum class Level { generic, avx2, avx512 };

// The best level this processor can run.
Level best_level();
// Kernels of a level. Throws std::runtime_error where the processor or the build lacks it.
const Kernels& kernels_of(Level level);
// Used by models made from now on; for tests and comparisons.
const Kernels& default_kernels();
void set_default_level(Level level);

}  // namespace masksearch
