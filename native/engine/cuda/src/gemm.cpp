// Matrix products by cuBLASLt. It thinks in columns: row-major d = a b is its d' = b' a', so our b is
// its first factor and ours, transposed or not, keeps its flag.
#include "gemm.h"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "atomic_file.h"

namespace masksearch::cuda {

namespace {

constexpr int kCandidates = 16;
constexpr int kTrials = 3;
constexpr size_t kMostStarted = 4096;
constexpr int64_t kCooledBytes = int64_t(1) << 20;

void check(const CublasLt& lt, int status, const char* call, const std::string& of = {}) {
  if (status != 0)
    throw DeviceError(std::string("cuBLASLt: ") + call + of + " failed with " +
                      lt.status_name(status) +
                      "; CUBLASLT_LOG_LEVEL=2 in the environment makes it print why");
}

// Largest power of two up to 256 that divides the address and the distance of rows.
uint32_t alignment(const void* data, int64_t row_bytes) {
  const uint64_t bits = reinterpret_cast<uintptr_t>(data) | uint64_t(row_bytes) | 256;
  return uint32_t(bits & (~bits + 1));
}

int64_t bytes_of(Storage storage) { return storage == Storage::float32 ? 4 : 2; }

// Of everything that a product reads or writes; an addend that is not there is d.
struct Alignments {
  uint32_t a, b, addend, d;
};

Alignments alignments_of(const Product& p) {
  const int64_t size = bytes_of(p.storage);
  const uint32_t d = alignment(p.d, p.d_row * size);
  return {alignment(p.a.data, p.a.row * 2), alignment(p.b.data, p.b.row * 2),
          p.addend != nullptr ? alignment(p.addend, p.addend_row * size) : d, d};
}

std::string hex_of(const CublasLt::Algorithm& algorithm) {
  std::ostringstream text;
  for (const uint64_t word : algorithm.data) {
    char digits[17];
    std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(word));
    text << digits;
  }
  return text.str();
}

bool parse_hex(const std::string& text, CublasLt::Algorithm* algorithm) {
  if (text.size() != 128 || text.find_first_not_of("0123456789abcdef") != std::string::npos)
    return false;
  for (int i = 0; i < 8; i++) algorithm->data[i] = std::stoull(text.substr(i * 16, 16), nullptr, 16);
  return true;
}

}  // namespace

int64_t size_class(int64_t size) {
  if (size <= 64) return size;
  int64_t step = 8;
  while (step * 16 < size) step *= 2;
  return (size + step - 1) / step * step;
}

// cuBLASLt's description of a product.
struct Gemm::Problem {
  const CublasLt& lt;
  CublasLt::Description description = nullptr;
  CublasLt::Layout a = nullptr, b = nullptr, c = nullptr, d = nullptr;
  CublasLt::Preference preference = nullptr;

  // By way of another constructor, so that what has been made is destroyed when a later call throws.
  Problem(const CublasLt& library, const Product& p, size_t workspace_bytes) : Problem(library) {
    check(lt, lt.description_create(&description, CublasLt::compute_float32, CublasLt::float32),
          "MatmulDescCreate");
    const int32_t first = p.b.transposed ? CublasLt::transpose : CublasLt::no_transpose;
    const int32_t second = p.a.transposed ? CublasLt::transpose : CublasLt::no_transpose;
    set(CublasLt::transpose_a, first);
    set(CublasLt::transpose_b, second);
    if (p.bias != nullptr) {
      set(CublasLt::epilogue, int32_t(CublasLt::epilogue_bias));
      set(CublasLt::bias_pointer, p.bias);
      set(CublasLt::bias_data_type, int32_t(CublasLt::bfloat16));
    }
    const int type = p.storage == Storage::float32 ? CublasLt::float32 : CublasLt::bfloat16;
    a = p.b.transposed ? layout(CublasLt::bfloat16, p.k, p.n, p.b.row)
                       : layout(CublasLt::bfloat16, p.n, p.k, p.b.row);
    b = p.a.transposed ? layout(CublasLt::bfloat16, p.m, p.k, p.a.row)
                       : layout(CublasLt::bfloat16, p.k, p.m, p.a.row);
    c = layout(type, p.n, p.m, p.addend != nullptr ? p.addend_row : p.d_row);
    d = layout(type, p.n, p.m, p.d_row);
    check(lt, lt.preference_create(&preference), "MatmulPreferenceCreate");
    prefer(CublasLt::most_workspace_bytes, uint64_t(workspace_bytes));
    // Sums are float32 to their end: parts of one are not rounded to bfloat16 in between.
    if (p.storage == Storage::bfloat16)
      prefer(CublasLt::reductions, uint32_t(CublasLt::in_compute_type));
    const Alignments align = alignments_of(p);
    prefer(CublasLt::alignment_a, align.b);
    prefer(CublasLt::alignment_b, align.a);
    prefer(CublasLt::alignment_c, align.addend);
    prefer(CublasLt::alignment_d, align.d);
  }
  ~Problem() {
    if (preference != nullptr) lt.preference_destroy(preference);
    for (const CublasLt::Layout each : {a, b, c, d})
      if (each != nullptr) lt.layout_destroy(each);
    if (description != nullptr) lt.description_destroy(description);
  }
  Problem(const Problem&) = delete;
  Problem& operator=(const Problem&) = delete;

 private:
  explicit Problem(const CublasLt& library) : lt(library) {}

  template <class Value>
  void set(int attribute, const Value& value) {
    check(lt, lt.description_set(description, attribute, &value, sizeof value),
          "MatmulDescSetAttribute");
  }
  template <class Value>
  void prefer(int attribute, const Value& value) {
    check(lt, lt.preference_set(preference, attribute, &value, sizeof value),
          "MatmulPreferenceSetAttribute");
  }
  CublasLt::Layout layout(int type, int64_t rows, int64_t columns, int64_t ld) const {
    CublasLt::Layout made = nullptr;
    check(lt, lt.layout_create(&made, type, uint64_t(rows), uint64_t(columns), ld),
          "MatrixLayoutCreate");
    return made;
  }
};

namespace {

void check_product(const Product& p) {
  const auto require = [&](bool valid, const char* what) {
    if (!valid)
      throw std::invalid_argument(std::string("gemm: expected ") + what + ", received m " +
                                  std::to_string(p.m) + ", n " + std::to_string(p.n) + ", k " +
                                  std::to_string(p.k));
  };
  require(p.m > 0 && p.n > 0 && p.k > 0, "positive sizes");
  require(p.a.row >= (p.a.transposed ? p.m : p.k), "rows of a that do not overlap");
  require(p.b.row >= (p.b.transposed ? p.k : p.n), "rows of b that do not overlap");
  require(p.d_row >= p.n, "rows of d that do not overlap");
  require(p.addend == nullptr || p.addend_row >= p.n, "rows of the addend that do not overlap");
  require(!p.addend_is_zero || (p.addend == p.d && p.d_row == p.n),
          "addend_is_zero only for a contiguous d that is its own addend");
  // cuBLASLt asks for no bias's alignment, and its kernels read sixteen bytes at a time.
  require(alignment(p.bias, 0) >= 16, "a bias aligned to 16 bytes");
  require(p.bias == nullptr || p.storage == Storage::bfloat16, "a bias for bfloat16 results alone");
}

// What a choice depends on; alignments too, as an algorithm may need what only some addresses have.
std::string key_of(const Product& p) {
  const Alignments align = alignments_of(p);
  std::ostringstream key;
  key << size_class(p.m) << 'x' << size_class(p.n) << 'x' << size_class(p.k)
      << (p.a.transposed ? " T" : " N") << (p.b.transposed ? "T" : "N")
      << (p.storage == Storage::float32 ? " f32" : " bf16") << (p.bias != nullptr ? " bias" : "")
      << (p.addend == nullptr ? "" : p.addend == p.d ? " accumulate" : " addend") << ' ' << align.a
      << ',' << align.b << ',' << align.addend << ',' << align.d;
  return key.str();
}

// Of products that differ in their addresses alone.
std::string exact_key_of(const Product& p) {
  return std::to_string(p.m) + 'x' + std::to_string(p.n) + 'x' + std::to_string(p.k) + " of " +
         key_of(p);
}

}  // namespace

Gemm::Gemm(Stream& stream, void* workspace, size_t workspace_bytes, const std::string& device,
           const GemmOptions& options)
    : lt_(cublas_lt()),
      stream_(stream),
      workspace_(workspace),
      workspace_bytes_(workspace_bytes),
      options_(options) {
  check(lt_, lt_.create(&handle_), "Create");
  title_ = "# cuBLASLt " + std::to_string(lt_.version()) + ", " + device + ", workspace " +
           std::to_string(workspace_bytes);
  read_cache();
}

Gemm::~Gemm() {
  if (handle_ != nullptr) lt_.destroy(handle_);
}

void Gemm::run(const Product& product) {
  check_product(product);
  const Problem problem(lt_, product, workspace_bytes_);
  const std::string exact = exact_key_of(product);
  if (stream_.recording()) {
    const auto known = started_.find(exact);
    if (known != started_.end())
      return check(lt_, start(product, problem, known->second), "Matmul of ", exact);
  }
  const CublasLt::Algorithm algorithm = started(product, problem);
  if (started_.size() >= kMostStarted) started_.clear();
  started_[exact] = algorithm;
}

// Starts the product, and returns by which algorithm.
CublasLt::Algorithm Gemm::started(const Product& product, const Problem& problem) {
  const CublasLt::Algorithm chosen = choose(product, problem);
  if (start(product, problem, chosen) == 0) return chosen;
  // An algorithm may pass cuBLASLt's check and not start; then one that does is remembered.
  const std::string key = key_of(product);
  int status = 0;
  for (const CublasLt::Heuristic& candidate : candidates(key, problem)) {
    status = start(product, problem, candidate.algorithm);
    if (status == 0)
      return (choices_.count(key) > 0 ? choices_ : untried_)[key] = candidate.algorithm;
  }
  check(lt_, status, "Matmul of ", key);
  return chosen;
}

int Gemm::start(const Product& p, const Problem& problem, const CublasLt::Algorithm& algorithm) {
  const float one = 1, zero = 0;
  const float* factor = p.addend != nullptr ? &one : &zero;
  const void* addend = p.addend != nullptr ? p.addend : p.d;
  return lt_.multiply(handle_, problem.description, &p.scale, p.b.data, problem.a, p.a.data,
                      problem.b, factor, addend, problem.c, p.d, problem.d, &algorithm, workspace_,
                      workspace_bytes_, stream_.handle());
}

bool Gemm::still_fits(const Problem& problem, const CublasLt::Algorithm& algorithm) const {
  CublasLt::Heuristic result{};
  return lt_.check(handle_, problem.description, problem.a, problem.b, problem.c, problem.d,
                   &algorithm, &result) == 0 &&
         result.status == 0 && result.workspace_bytes <= workspace_bytes_;
}

std::vector<CublasLt::Heuristic> Gemm::candidates(const std::string& key,
                                                  const Problem& problem) const {
  std::vector<CublasLt::Heuristic> all(kCandidates);
  int found = 0;
  check(lt_,
        lt_.heuristics(handle_, problem.description, problem.a, problem.b, problem.c, problem.d,
                       problem.preference, kCandidates, all.data(), &found),
        "MatmulAlgoGetHeuristic of ", key);
  all.resize(size_t(found));
  all.erase(std::remove_if(all.begin(), all.end(),
                           [](const CublasLt::Heuristic& h) { return h.status != 0; }),
            all.end());
  if (all.empty())
    throw DeviceError("cuBLASLt: expected an algorithm for " + key + ", received none");
  return all;
}

CublasLt::Algorithm Gemm::choose(const Product& product, const Problem& problem) {
  const std::string key = key_of(product);
  const bool repeatable = product.addend != product.d || product.addend_is_zero;
  const bool tunable = options_.tune && repeatable && !stream_.recording();
  for (const auto* known : {&choices_, &untried_}) {
    const auto found = known->find(key);
    if (found == known->end()) continue;
    if (known == &untried_ && tunable) continue;
    // Sizes within a class may differ, so even a known choice is checked.
    if (still_fits(problem, found->second)) return found->second;
    return candidates(key, problem)[0].algorithm;
  }
  const std::vector<CublasLt::Heuristic> all = candidates(key, problem);
  if (!tunable) return untried_[key] = all[0].algorithm;
  const CublasLt::Algorithm chosen = fastest(product, problem, all);
  choices_[key] = chosen;
  revision_ += int64_t(untried_.erase(key));
  write_cache();
  return chosen;
}

CublasLt::Algorithm Gemm::fastest(const Product& product, const Problem& problem,
                                  const std::vector<CublasLt::Heuristic>& candidates) {
  Stopwatch stopwatch;
  double best_time = 0;
  // In earnest a large factor comes from memory, not from the GPU's cache: the workspace takes its place.
  const bool cools = product.n * product.k * bytes_of(Storage::bfloat16) >= kCooledBytes;
  const CublasLt::Algorithm* best = nullptr;
  for (const CublasLt::Heuristic& candidate : candidates) {
    double time = 0;
    bool works = start(product, problem, candidate.algorithm) == 0;  // warms up
    for (int trial = 0; works && trial < kTrials; trial++) {
      if (cools) stream_.clear(workspace_, workspace_bytes_);
      stopwatch.start(stream_);
      works = start(product, problem, candidate.algorithm) == 0;
      const double milliseconds = stopwatch.stop(stream_);
      time = trial == 0 ? milliseconds : std::min(time, milliseconds);
    }
    if (works && (best == nullptr || time < best_time)) {
      best = &candidate.algorithm;
      best_time = time;
    }
  }
  if (product.addend_is_zero)
    stream_.clear(product.d, size_t(product.m * product.n * bytes_of(product.storage)));
  return best == nullptr ? candidates[0].algorithm : *best;
}

// Lines of `key<tab>algorithm` under the title. A file of another title is replaced at the next
// choice; a line that does not parse is left out.
void Gemm::read_cache() {
  if (options_.cache_file.empty()) return;
  std::ifstream file(options_.cache_file);
  std::string line;
  if (!std::getline(file, line) || line != title_) return;
  while (std::getline(file, line)) {
    const size_t tab = line.find('\t');
    CublasLt::Algorithm algorithm;
    if (tab != std::string::npos && parse_hex(line.substr(tab + 1), &algorithm))
      choices_[line.substr(0, tab)] = algorithm;
  }
}

// A file that cannot be written costs later processes their tuning, and this one nothing.
void Gemm::write_cache() {
  if (options_.cache_file.empty()) return;
  std::string text = title_ + "\n";
  for (const auto& [key, algorithm] : choices_) text += key + "\t" + hex_of(algorithm) + "\n";
  try {
    write_file_atomically(options_.cache_file, text);
  } catch (const std::exception& error) {
    cache_problem_ = error.what();
    options_.cache_file.clear();
  }
}

}  // namespace masksearch::cuda
