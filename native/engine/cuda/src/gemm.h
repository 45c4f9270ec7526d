// Matrix products by cuBLASLt. The fastest of its algorithms, split sums included, is found once for
// every shape by trying them, and remembered in a file.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cublas_lt.h"
#include "cuda_kernels.h"

namespace masksearch::cuda {

// Stored row-major with rows `row` values apart; `transposed`: what is stored is the transpose of
// the factor.
struct Factor {
  const bf16* data;
  int64_t row;
  bool transposed;
};

enum class Storage { bfloat16, float32 };

// d (m, n) = scale a (m, k) b (k, n) + bias (n) + addend (m, n); sums in f32, rounded once. bias (bf16,
// at a multiple of 16 bytes, with a bf16 d alone) and addend (of d's storage) may be null; addend may be
// d itself, which makes it +=.
struct Product {
  int64_t m, n, k;
  Factor a, b;
  float scale = 1;
  const bf16* bias = nullptr;
  const void* addend = nullptr;
  int64_t addend_row = 0;
  void* d = nullptr;
  int64_t d_row = 0;
  Storage storage = Storage::bfloat16;
  // With addend == d: d holds zeros, so the product may be tried several times and cleared.
  bool addend_is_zero = false;
};

struct GemmOptions {
  bool tune = true;        // else cuBLASLt's own first choice
  std::string cache_file;  // remembers choices; empty = nowhere
};

class Gemm {
 public:
  // `workspace` is device memory for split sums. `device` names the GPU in the cache file.
  Gemm(Stream& stream, void* workspace, size_t workspace_bytes, const std::string& device,
       const GemmOptions& options);
  ~Gemm();
  Gemm(const Gemm&) = delete;
  Gemm& operator=(const Gemm&) = delete;

  // @throws std::invalid_argument shapes that do not fit together. @throws DeviceError from cuBLASLt.
  void run(const Product& product);

  // Grows when a product that has run is tuned after all: what was recorded with it is out of date.
  int64_t revision() const { return revision_; }

  // Why choices are no longer written to the file; empty where they are.
  const std::string& cache_problem() const { return cache_problem_; }

  // Choices made so far; for tests.
  const std::map<std::string, CublasLt::Algorithm>& choices() const { return choices_; }

 private:
  struct Problem;
  CublasLt::Algorithm started(const Product& product, const Problem& problem);
  CublasLt::Algorithm choose(const Product& product, const Problem& problem);
  std::vector<CublasLt::Heuristic> candidates(const std::string& key, const Problem& problem) const;
  CublasLt::Algorithm fastest(const Product& product, const Problem& problem,
                              const std::vector<CublasLt::Heuristic>& candidates);
  int start(const Product& product, const Problem& problem, const CublasLt::Algorithm& algorithm);
  bool still_fits(const Problem& problem, const CublasLt::Algorithm& algorithm) const;
  void read_cache();
  void write_cache();

  const CublasLt& lt_;
  Stream& stream_;
  void* workspace_;
  size_t workspace_bytes_;
  GemmOptions options_;
  std::string title_;  // first line of the cache file: what its choices hold for
  CublasLt::Handle handle_ = nullptr;
  std::map<std::string, CublasLt::Algorithm> choices_;
  std::map<std::string, CublasLt::Algorithm> untried_;  // cuBLASLt's first, where none can be tried
  // By which algorithm each product ran last: while a graph is recorded cuBLASLt is asked for nothing
  // else, as its heuristics fail then in some versions.
  std::map<std::string, CublasLt::Algorithm> started_;
  int64_t revision_ = 0;
  std::string cache_problem_;
};

// Shapes that share a choice: exact up to 64, then steps of an eighth of a power of two.
int64_t size_class(int64_t size);

}  // namespace masksearch::cuda
