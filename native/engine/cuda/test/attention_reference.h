// Causal grouped attention and its gradients in float64 plain loops over packed q, k, v rows.
#pragma once

#include <cmath>
#include <vector>

#include "tiles.h"

namespace test {

struct AttentionReference {
  std::vector<double> out;       // (N, H D)
  std::vector<double> log_sums;  // (H, N)
  std::vector<double> d_qkv;     // (N, W)
};

// `runs` are whole sequences; d_out may be empty.
inline AttentionReference attention_reference(const masksearch::cuda::AttentionShape& shape,
                                              const std::vector<masksearch::cuda::RowRun>& runs,
                                              int rows, const std::vector<float>& qkv,
                                              const std::vector<float>& d_out) {
  const int D = shape.head_width, H = shape.heads, W = shape.columns();
  const double root = std::sqrt(double(D));
  AttentionReference r;
  r.out.resize(size_t(rows) * H * D);
  r.log_sums.resize(size_t(H) * rows);
  r.d_qkv.resize(size_t(rows) * W);
  const auto dot = [&](const auto* a, const auto* b) {
    double sum = 0;
    for (int d = 0; d < D; d++) sum += double(a[d]) * b[d];
    return sum;
  };
  for (const auto& run : runs)
    for (int h = 0; h < H; h++) {
      const int key_column = (H + h / (H / shape.key_value_heads)) * D;
      const int value_column = key_column + shape.key_value_heads * D;
      for (int i = 0; i < run.count; i++) {
        const size_t at = size_t(run.row) + i;
        const float* q = qkv.data() + at * W + h * D;
        std::vector<double> p(size_t(i) + 1);
        double largest = -INFINITY, sum = 0;
        for (int j = 0; j <= i; j++) {
          p[j] = dot(q, qkv.data() + (size_t(run.row) + j) * W + key_column) / root;
          largest = std::max(largest, p[j]);
        }
        for (double& score : p) sum += score = std::exp(score - largest);
        r.log_sums[size_t(h) * rows + at] = largest + std::log(sum);
        double* out = r.out.data() + (at * H + h) * D;
        for (int j = 0; j <= i; j++) {
          p[j] /= sum;
          const float* v = qkv.data() + (size_t(run.row) + j) * W + value_column;
          for (int d = 0; d < D; d++) out[d] += p[j] * v[d];
        }
        if (d_out.empty()) continue;
        const float* back = d_out.data() + (at * H + h) * D;
        double delta = 0;
        for (int d = 0; d < D; d++) delta += back[d] * out[d];
        double* dq = r.d_qkv.data() + at * W + h * D;
        for (int j = 0; j <= i; j++) {
          const size_t row = (size_t(run.row) + j) * W;
          const double d_score =
              p[j] * (dot(back, qkv.data() + row + value_column) - delta) / root;
          for (int d = 0; d < D; d++) {
            dq[d] += d_score * qkv[row + key_column + d];
            r.d_qkv[row + key_column + d] += d_score * q[d];
            r.d_qkv[row + value_column + d] += p[j] * back[d];
          }
        }
      }
    }
  return r;
}

}  // namespace test
