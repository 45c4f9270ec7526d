// Loads cuBLASLt.
#include "cublas_lt.h"

#include <dlfcn.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "stream.h"

namespace masksearch::cuda {

namespace {

// What is chosen and does not load is an error, not a reason to take another.
std::vector<std::string> library_names() {
  const char* chosen = std::getenv("MASKSEARCH_CUBLASLT");
  if (chosen != nullptr && *chosen != 0) return {chosen};
  return {"libcublasLt.so.13", "/usr/local/cuda/lib64/libcublasLt.so.13", "libcublasLt.so.12",
          "/usr/local/cuda/lib64/libcublasLt.so.12"};
}

void* open_library() {
  std::string problems;
  for (const std::string& name : library_names()) {
    if (void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
    problems += std::string("\n  ") + dlerror();
  }
  throw UnavailableError(
      "cuBLASLt: expected libcublasLt.so.13 or .12 where the loader looks or in "
      "/usr/local/cuda/lib64, or the file that MASKSEARCH_CUBLASLT names, received:" +
      problems +
      "; install the CUDA toolkit's libcublas or `pip install nvidia-cublas`, and set "
      "MASKSEARCH_CUBLASLT to the file where the loader does not find it");
}

template <class Function>
void look_up(void* library, const char* name, Function* function) {
  void* found = dlsym(library, name);
  if (found == nullptr)
    throw UnavailableError(std::string("cuBLASLt: expected a library with ") + name +
                           ", received one without; versions 12 and 13 are known to work");
  *function = reinterpret_cast<Function>(found);
}

CublasLt load() {
  void* library = open_library();
  CublasLt lt;
  look_up(library, "cublasLtCreate", &lt.create);
  look_up(library, "cublasLtDestroy", &lt.destroy);
  look_up(library, "cublasLtGetVersion", &lt.version);
  look_up(library, "cublasLtGetStatusName", &lt.status_name);
  look_up(library, "cublasLtMatmulDescCreate", &lt.description_create);
  look_up(library, "cublasLtMatmulDescDestroy", &lt.description_destroy);
  look_up(library, "cublasLtMatmulDescSetAttribute", &lt.description_set);
  look_up(library, "cublasLtMatrixLayoutCreate", &lt.layout_create);
  look_up(library, "cublasLtMatrixLayoutDestroy", &lt.layout_destroy);
  look_up(library, "cublasLtMatmulPreferenceCreate", &lt.preference_create);
  look_up(library, "cublasLtMatmulPreferenceDestroy", &lt.preference_destroy);
  look_up(library, "cublasLtMatmulPreferenceSetAttribute", &lt.preference_set);
  look_up(library, "cublasLtMatmulAlgoGetHeuristic", &lt.heuristics);
  look_up(library, "cublasLtMatmulAlgoCheck", &lt.check);
  look_up(library, "cublasLtMatmul", &lt.multiply);
  return lt;
}

}  // namespace

const CublasLt& cublas_lt() {
  static const CublasLt loaded = load();
  return loaded;
}

}  // namespace masksearch::cuda
