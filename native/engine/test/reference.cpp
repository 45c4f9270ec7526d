// The decoder, its losses and all gradients in float64 plain loops.
#include "reference.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace test {

using masksearch::Batch;
using masksearch::DecoderConfig;
using masksearch::LossKind;
using masksearch::Parameter;
using masksearch::TokenLoss;

namespace {

using Vector = std::vector<double>;

// A value with its gradient; rows by columns.
struct Matrix {
  int rows, columns;
  Vector value, gradient;
  Matrix(int r, int c)
      : rows(r), columns(c), value(size_t(r) * c, 0.0), gradient(size_t(r) * c, 0.0) {}
  double& at(int r, int c) { return value[size_t(r) * columns + c]; }
  double& d(int r, int c) { return gradient[size_t(r) * columns + c]; }
};

struct Weight {
  const double* value;
  double* gradient;
};

// y = x w^T + b
void linear(Matrix& x, Weight w, Weight b, Matrix& y) {
  for (int t = 0; t < y.rows; t++)
    for (int n = 0; n < y.columns; n++) {
      double sum = b.value == nullptr ? 0 : b.value[n];
      for (int k = 0; k < x.columns; k++) sum += x.at(t, k) * w.value[size_t(n) * x.columns + k];
      y.at(t, n) = sum;
    }
}
void linear_backward(Matrix& x, Weight w, Weight b, Matrix& y) {
  for (int t = 0; t < y.rows; t++)
    for (int n = 0; n < y.columns; n++) {
      const double d = y.d(t, n);
      if (b.value != nullptr) b.gradient[n] += d;
      for (int k = 0; k < x.columns; k++) {
        x.d(t, k) += d * w.value[size_t(n) * x.columns + k];
        w.gradient[size_t(n) * x.columns + k] += d * x.at(t, k);
      }
    }
}

double rstd(Matrix& x, int t, double epsilon) {
  double sum = 0;
  for (int c = 0; c < x.columns; c++) sum += x.at(t, c) * x.at(t, c);
  return 1 / std::sqrt(sum / x.columns + epsilon);
}
void norm(Matrix& x, Weight w, double epsilon, Matrix& y) {
  for (int t = 0; t < x.rows; t++)
    for (int c = 0; c < x.columns; c++)
      y.at(t, c) = x.at(t, c) * rstd(x, t, epsilon) * w.value[c];
}
void norm_backward(Matrix& x, Weight w, double epsilon, Matrix& y) {
  for (int t = 0; t < x.rows; t++) {
    const double r = rstd(x, t, epsilon);
    double sum = 0;
    for (int c = 0; c < x.columns; c++) {
      w.gradient[c] += y.d(t, c) * x.at(t, c) * r;
      sum += y.d(t, c) * w.value[c] * x.at(t, c);
    }
    for (int c = 0; c < x.columns; c++)
      x.d(t, c) += y.d(t, c) * w.value[c] * r - x.at(t, c) * r * r * r * sum / x.columns;
  }
}

// As transformers writes it, by wavelengths in tokens.
double frequency(const DecoderConfig& c, int i) {
  const double plain = std::pow(c.rope_theta, -2.0 * i / c.head_width);
  const masksearch::RopeScaling& s = c.rope_scaling;
  if (s.factor == 0) return plain;
  const double wavelength = 2 * std::acos(-1.0) / plain;
  if (wavelength > s.original_max_positions / s.low_frequency_factor) return plain / s.factor;
  if (wavelength < s.original_max_positions / s.high_frequency_factor) return plain;
  const double smooth = (s.original_max_positions / wavelength - s.low_frequency_factor) /
                        (s.high_frequency_factor - s.low_frequency_factor);
  return (1 - smooth) * plain / s.factor + smooth * plain;
}

// Rotates `heads` heads of value or gradient in place; sign -1 is the transpose.
void rotate(const DecoderConfig& c, Vector& data, int rows, int columns, int heads,
            const std::vector<int>& positions, double sign) {
  const int half = c.head_width / 2;
  for (int t = 0; t < rows; t++)
    for (int h = 0; h < heads; h++)
      for (int i = 0; i < half; i++) {
        const double angle = positions[t] * frequency(c, i);
        double& a = data[size_t(t) * columns + h * c.head_width + i];
        double& b = data[size_t(t) * columns + h * c.head_width + half + i];
        const double u = a, v = b;
        a = u * std::cos(angle) - sign * v * std::sin(angle);
        b = v * std::cos(angle) + sign * u * std::sin(angle);
      }
}

// One pair (query row, head): probabilities over keys first..row.
Vector probabilities(const DecoderConfig& c, Matrix& q, Matrix& k, int row, int head, int first) {
  const int D = c.head_width;
  const int kv = head / (c.heads / c.key_value_heads);
  Vector p;
  double largest = -INFINITY;
  for (int j = first; j <= row; j++) {
    double sum = 0;
    for (int d = 0; d < D; d++) sum += q.at(row, head * D + d) * k.at(j, kv * D + d);
    p.push_back(sum / std::sqrt(double(D)));
    largest = std::max(largest, p.back());
  }
  double total = 0;
  for (double& x : p) total += x = std::exp(x - largest);
  for (double& x : p) x /= total;
  return p;
}

struct Loss {
  double value, d_log_prob, d_entropy;
};

Loss token_loss(const TokenLoss& l, int t, double log_prob, double entropy) {
  if (l.kind == LossKind::cross_entropy) {
    const double w = l.weights == nullptr ? 1 : l.weights[t];
    return {-l.scale * w * log_prob, -l.scale * w, 0};
  }
  const double w = l.importance_weights == nullptr ? 1 : l.importance_weights[t];
  const double a = l.advantages[t];
  const double delta = log_prob - l.old_log_probs[t];
  const double ratio = std::exp(std::min(20.0, std::max(-20.0, delta)));
  const double low = 1 - l.clip_low, high = 1 + l.clip_high;
  const double bounded = std::min(high, std::max(low, ratio));
  double value = std::max(-a * ratio, -a * bounded);
  bool flat = -a * bounded > -a * ratio || std::fabs(delta) > 20;
  if (l.dual_clip > 0 && a < 0 && value > -a * l.dual_clip) {
    value = -a * l.dual_clip;
    flat = true;
  }
  return {l.scale * (w * value - l.entropy_coefficient * entropy),
          flat ? 0 : -l.scale * w * a * ratio, -l.scale * l.entropy_coefficient};
}

class Reference {
 public:
  Reference(const DecoderConfig& c, const std::vector<Parameter>& parameters, const Vector& weights,
            Vector* gradients)
      : c_(c) {
    for (const Parameter& p : parameters)
      weights_[p.name] = {weights.data() + p.offset, gradients->data() + p.offset};
  }

  void run(const Batch& batch, const TokenLoss& loss, ReferenceResult* result);

 private:
  struct Layer {
    Matrix x, h, q, k, v, attention, mid, h2, gate, up, product;
    Matrix raw_q, raw_k;  // before their norms; a head per row
    Layer(const DecoderConfig& c, int n)
        : x(n, c.width),
          h(n, c.width),
          q(n, c.heads * c.head_width),
          k(n, c.key_value_heads * c.head_width),
          v(n, c.key_value_heads * c.head_width),
          attention(n, c.heads * c.head_width),
          mid(n, c.width),
          h2(n, c.width),
          gate(n, c.feed_forward_width),
          up(n, c.feed_forward_width),
          product(n, c.feed_forward_width),
          raw_q(n * c.heads, c.head_width),
          raw_k(n * c.key_value_heads, c.head_width) {}
  };

  Weight weight(int layer, const std::string& name) {
    return weights_["model.layers." + std::to_string(layer) + "." + name];
  }
  // y holds the heads and becomes their norms; `raw` keeps them. Backward undoes that.
  void norm_heads(Matrix& y, Matrix& raw, Weight w) {
    raw.value = y.value;
    Matrix normed(raw.rows, raw.columns);
    norm(raw, w, c_.norm_epsilon, normed);
    y.value = normed.value;
  }
  void norm_heads_backward(Matrix& y, Matrix& raw, Weight w) {
    Matrix normed(raw.rows, raw.columns);
    normed.gradient = y.gradient;
    norm_backward(raw, w, c_.norm_epsilon, normed);
    y.gradient = raw.gradient;
  }
  void forward(int l, Layer& a, Matrix& out);
  void backward(int l, Layer& a, Matrix& out);

  const DecoderConfig& c_;
  std::map<std::string, Weight> weights_;
  std::vector<int> starts_, positions_;
};

void add(Matrix& to, Matrix& a, Matrix& b) {
  for (size_t i = 0; i < to.value.size(); i++) to.value[i] = a.value[i] + b.value[i];
}
void add_gradient(Matrix& to, Matrix& from) {
  for (size_t i = 0; i < to.value.size(); i++) to.gradient[i] += from.gradient[i];
}

void Reference::forward(int l, Layer& a, Matrix& out) {
  const int D = c_.head_width;
  norm(a.x, weight(l, "input_layernorm.weight"), c_.norm_epsilon, a.h);
  linear(a.h, weight(l, "self_attn.q_proj.weight"), weight(l, "self_attn.q_proj.bias"), a.q);
  linear(a.h, weight(l, "self_attn.k_proj.weight"), weight(l, "self_attn.k_proj.bias"), a.k);
  linear(a.h, weight(l, "self_attn.v_proj.weight"), weight(l, "self_attn.v_proj.bias"), a.v);
  if (c_.query_key_norm) {
    norm_heads(a.q, a.raw_q, weight(l, "self_attn.q_norm.weight"));
    norm_heads(a.k, a.raw_k, weight(l, "self_attn.k_norm.weight"));
  }
  rotate(c_, a.q.value, a.q.rows, a.q.columns, c_.heads, positions_, 1);
  rotate(c_, a.k.value, a.k.rows, a.k.columns, c_.key_value_heads, positions_, 1);
  for (int t = 0; t < a.x.rows; t++)
    for (int head = 0; head < c_.heads; head++) {
      const int kv = head / (c_.heads / c_.key_value_heads);
      const Vector p = probabilities(c_, a.q, a.k, t, head, starts_[t]);
      for (size_t j = 0; j < p.size(); j++)
        for (int d = 0; d < D; d++)
          a.attention.at(t, head * D + d) += p[j] * a.v.at(starts_[t] + int(j), kv * D + d);
    }
  Matrix delta(a.x.rows, c_.width);
  linear(a.attention, weight(l, "self_attn.o_proj.weight"), {}, delta);
  add(a.mid, a.x, delta);
  norm(a.mid, weight(l, "post_attention_layernorm.weight"), c_.norm_epsilon, a.h2);
  linear(a.h2, weight(l, "mlp.gate_proj.weight"), {}, a.gate);
  linear(a.h2, weight(l, "mlp.up_proj.weight"), {}, a.up);
  for (size_t i = 0; i < a.gate.value.size(); i++)
    a.product.value[i] = a.gate.value[i] / (1 + std::exp(-a.gate.value[i])) * a.up.value[i];
  linear(a.product, weight(l, "mlp.down_proj.weight"), {}, delta);
  add(out, a.mid, delta);
}

void Reference::backward(int l, Layer& a, Matrix& out) {
  const int D = c_.head_width;
  linear_backward(a.product, weight(l, "mlp.down_proj.weight"), {}, out);
  for (size_t i = 0; i < a.gate.value.size(); i++) {
    const double g = a.gate.value[i], s = 1 / (1 + std::exp(-g)), d = a.product.gradient[i];
    a.gate.gradient[i] = d * a.up.value[i] * s * (1 + g * (1 - s));
    a.up.gradient[i] = d * g * s;
  }
  linear_backward(a.h2, weight(l, "mlp.gate_proj.weight"), {}, a.gate);
  linear_backward(a.h2, weight(l, "mlp.up_proj.weight"), {}, a.up);
  add_gradient(a.mid, out);
  norm_backward(a.mid, weight(l, "post_attention_layernorm.weight"), c_.norm_epsilon, a.h2);
  linear_backward(a.attention, weight(l, "self_attn.o_proj.weight"), {}, a.mid);
  for (int t = 0; t < a.x.rows; t++)
    for (int head = 0; head < c_.heads; head++) {
      const int kv = head / (c_.heads / c_.key_value_heads), first = starts_[t];
      const Vector p = probabilities(c_, a.q, a.k, t, head, first);
      Vector dp(p.size(), 0.0);
      double sum = 0;
      for (size_t j = 0; j < p.size(); j++) {
        for (int d = 0; d < D; d++) {
          dp[j] += a.attention.d(t, head * D + d) * a.v.at(first + int(j), kv * D + d);
          a.v.d(first + int(j), kv * D + d) += p[j] * a.attention.d(t, head * D + d);
        }
        sum += p[j] * dp[j];
      }
      for (size_t j = 0; j < p.size(); j++) {
        const double ds = p[j] * (dp[j] - sum) / std::sqrt(double(D));
        for (int d = 0; d < D; d++) {
          a.q.d(t, head * D + d) += ds * a.k.at(first + int(j), kv * D + d);
          a.k.d(first + int(j), kv * D + d) += ds * a.q.at(t, head * D + d);
        }
      }
    }
  rotate(c_, a.q.gradient, a.q.rows, a.q.columns, c_.heads, positions_, -1);
  rotate(c_, a.k.gradient, a.k.rows, a.k.columns, c_.key_value_heads, positions_, -1);
  if (c_.query_key_norm) {
    norm_heads_backward(a.q, a.raw_q, weight(l, "self_attn.q_norm.weight"));
    norm_heads_backward(a.k, a.raw_k, weight(l, "self_attn.k_norm.weight"));
  }
  linear_backward(a.h, weight(l, "self_attn.q_proj.weight"), weight(l, "self_attn.q_proj.bias"),
                  a.q);
  linear_backward(a.h, weight(l, "self_attn.k_proj.weight"), weight(l, "self_attn.k_proj.bias"),
                  a.k);
  linear_backward(a.h, weight(l, "self_attn.v_proj.weight"), weight(l, "self_attn.v_proj.bias"),
                  a.v);
  add_gradient(a.x, a.mid);
  norm_backward(a.x, weight(l, "input_layernorm.weight"), c_.norm_epsilon, a.h);
}

void Reference::run(const Batch& batch, const TokenLoss& loss, ReferenceResult* result) {
  const int n = batch.token_count;
  for (int s = 0; s < batch.sequence_count; s++)
    for (int t = batch.offsets[s]; t < batch.offsets[s + 1]; t++) {
      starts_.push_back(batch.offsets[s]);
      positions_.push_back(t - batch.offsets[s]);
    }
  const Weight embedding = weights_["model.embed_tokens.weight"];
  const Weight head = c_.tied_embeddings ? embedding : weights_["lm_head.weight"];
  std::vector<Layer> layers(size_t(c_.layers), Layer(c_, n));
  Matrix last(n, c_.width), normed(n, c_.width), logits(n, c_.vocabulary_size);
  for (int t = 0; t < n; t++)
    for (int c = 0; c < c_.width; c++)
      layers[0].x.at(t, c) = embedding.value[size_t(batch.tokens[t]) * c_.width + c];
  for (int l = 0; l < c_.layers; l++)
    forward(l, layers[l], l + 1 < c_.layers ? layers[l + 1].x : last);
  norm(last, weights_["model.norm.weight"], c_.norm_epsilon, normed);
  linear(normed, head, {}, logits);
  for (int t = 0; t < n; t++) {
    if (batch.loss_mask[t] == 0) continue;
    const int row = t - 1;
    double largest = -INFINITY, total = 0, entropy = 0;
    for (int v = 0; v < c_.vocabulary_size; v++) largest = std::max(largest, logits.at(row, v));
    for (int v = 0; v < c_.vocabulary_size; v++) total += std::exp(logits.at(row, v) - largest);
    const double log_sum = largest + std::log(total);
    for (int v = 0; v < c_.vocabulary_size; v++)
      entropy -= std::exp(logits.at(row, v) - log_sum) * (logits.at(row, v) - log_sum);
    const double log_prob = logits.at(row, batch.tokens[t]) - log_sum;
    const Loss l = token_loss(loss, t, log_prob, entropy);
    result->loss += l.value;
    result->log_probs[t] = log_prob;
    result->entropies[t] = entropy;
    for (int v = 0; v < c_.vocabulary_size; v++) {
      const double lp = logits.at(row, v) - log_sum, p = std::exp(lp);
      logits.d(row, v) =
          l.d_log_prob * ((v == batch.tokens[t]) - p) - l.d_entropy * p * (lp + entropy);
    }
  }
  linear_backward(normed, head, {}, logits);
  norm_backward(last, weights_["model.norm.weight"], c_.norm_epsilon, normed);
  for (int l = c_.layers - 1; l >= 0; l--)
    backward(l, layers[l], l + 1 < c_.layers ? layers[l + 1].x : last);
  for (int t = 0; t < n; t++)
    for (int c = 0; c < c_.width; c++)
      embedding.gradient[size_t(batch.tokens[t]) * c_.width + c] += layers[0].x.d(t, c);
}

}  // namespace

ReferenceResult reference(const DecoderConfig& config, const std::vector<Parameter>& parameters,
                          const Vector& weights, const Batch& batch, const TokenLoss& loss) {
  ReferenceResult result;
  result.log_probs.assign(size_t(batch.token_count), 0.0);
  result.entropies.assign(size_t(batch.token_count), 0.0);
  result.gradients.assign(weights.size(), 0.0);
  Reference(config, parameters, weights, &result.gradients).run(batch, loss, &result);
  return result;
}

}  // namespace test
