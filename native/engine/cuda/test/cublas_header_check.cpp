// Compares the declarations in src/cublas_lt.h with NVIDIA's header. Compiled where cublasLt.h is
// found; nothing in it runs.
#include <cublasLt.h>

#include <type_traits>

#include "cublas_lt.h"

using masksearch::cuda::CublasLt;

static_assert(sizeof(CublasLt::Algorithm) == sizeof(cublasLtMatmulAlgo_t));
static_assert(sizeof(CublasLt::Heuristic) == sizeof(cublasLtMatmulHeuristicResult_t));
static_assert(offsetof(CublasLt::Heuristic, workspace_bytes) ==
              offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize));
static_assert(offsetof(CublasLt::Heuristic, status) ==
              offsetof(cublasLtMatmulHeuristicResult_t, state));
static_assert(int(CublasLt::float32) == CUDA_R_32F && int(CublasLt::bfloat16) == CUDA_R_16BF);
static_assert(int(CublasLt::compute_float32) == CUBLAS_COMPUTE_32F);
static_assert(int(CublasLt::no_transpose) == CUBLAS_OP_N && int(CublasLt::transpose) == CUBLAS_OP_T);
static_assert(int(CublasLt::transpose_a) == CUBLASLT_MATMUL_DESC_TRANSA);
static_assert(int(CublasLt::transpose_b) == CUBLASLT_MATMUL_DESC_TRANSB);
static_assert(int(CublasLt::epilogue) == CUBLASLT_MATMUL_DESC_EPILOGUE);
static_assert(int(CublasLt::bias_pointer) == CUBLASLT_MATMUL_DESC_BIAS_POINTER);
static_assert(int(CublasLt::bias_data_type) == CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE);
static_assert(int(CublasLt::epilogue_bias) == CUBLASLT_EPILOGUE_BIAS);
static_assert(int(CublasLt::most_workspace_bytes) == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
static_assert(int(CublasLt::reductions) == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK);
static_assert(int(CublasLt::in_place) == CUBLASLT_REDUCTION_SCHEME_INPLACE);
static_assert(int(CublasLt::in_compute_type) == CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
static_assert(int(CublasLt::in_output_type) == CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE);
static_assert(int(CublasLt::all_reductions) == CUBLASLT_REDUCTION_SCHEME_MASK);
static_assert(int(CublasLt::alignment_a) == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES);
static_assert(int(CublasLt::alignment_b) == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES);
static_assert(int(CublasLt::alignment_c) == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES);
static_assert(int(CublasLt::alignment_d) == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);

// The same number of parameters as NVIDIA's function, each passed the same way.
template <class Mine, class Theirs>
struct SameCall : std::false_type {};
template <class R, class... Mine, class S, class... Theirs>
struct SameCall<R (*)(Mine...), S(Theirs...)> {
  static constexpr bool value =
      sizeof...(Mine) == sizeof...(Theirs) && sizeof(R) == sizeof(S) &&
      ((sizeof(Mine) == sizeof(Theirs) &&
        std::is_pointer_v<Mine> == std::is_pointer_v<Theirs>)&&...);
};
#define SAME_CALL(member, function) \
  static_assert(SameCall<decltype(CublasLt::member), decltype(function)>::value)
SAME_CALL(create, cublasLtCreate);
SAME_CALL(destroy, cublasLtDestroy);
SAME_CALL(version, cublasLtGetVersion);
SAME_CALL(status_name, cublasLtGetStatusName);
SAME_CALL(description_create, cublasLtMatmulDescCreate);
SAME_CALL(description_destroy, cublasLtMatmulDescDestroy);
SAME_CALL(description_set, cublasLtMatmulDescSetAttribute);
SAME_CALL(layout_create, cublasLtMatrixLayoutCreate);
SAME_CALL(layout_destroy, cublasLtMatrixLayoutDestroy);
SAME_CALL(preference_create, cublasLtMatmulPreferenceCreate);
SAME_CALL(preference_destroy, cublasLtMatmulPreferenceDestroy);
SAME_CALL(preference_set, cublasLtMatmulPreferenceSetAttribute);
SAME_CALL(heuristics, cublasLtMatmulAlgoGetHeuristic);
SAME_CALL(check, cublasLtMatmulAlgoCheck);
SAME_CALL(multiply, cublasLtMatmul);
