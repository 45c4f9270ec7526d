// The part of cuBLASLt's C interface that the engine uses, declared here and looked up at run time,
// so that building needs no cuBLAS. Sizes and numbers are NVIDIA's (cublasLt.h, ABI of versions 12
// and 13); test/cublas_header_check.cpp compares them with the header where there is one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace masksearch::cuda {

struct CublasLt {
  struct Algorithm {
    uint64_t data[8];
  };
  struct Heuristic {
    Algorithm algorithm;
    size_t workspace_bytes;
    int status;  // 0 = usable
    float waves;
    int reserved[4];
  };
  using Handle = void*;
  using Description = void*;
  using Layout = void*;
  using Preference = void*;

  enum DataType { float32 = 0, bfloat16 = 14 };
  enum { compute_float32 = 68 };
  enum { no_transpose = 0, transpose = 1 };
  enum DescriptionAttribute {
    transpose_a = 3,
    transpose_b = 4,
    epilogue = 7,
    bias_pointer = 8,
    bias_data_type = 26
  };
  enum { epilogue_bias = 4 };
  enum PreferenceAttribute {
    most_workspace_bytes = 1,
    reductions = 3,
    alignment_a = 5,
    alignment_b = 6,
    alignment_c = 7,
    alignment_d = 8
  };

  // How the parts of a split sum are added up: bits of `reductions`. All but `in_compute_type` round
  // each part to the output's type first.
  enum Reductions { in_place = 1, in_compute_type = 2, in_output_type = 4, all_reductions = 7 };

  int (*create)(Handle*);
  int (*destroy)(Handle);
  size_t (*version)();
  const char* (*status_name)(int status);
  int (*description_create)(Description*, int compute_type, int scale_type);
  int (*description_destroy)(Description);
  int (*description_set)(Description, int attribute, const void* value, size_t bytes);
  int (*layout_create)(Layout*, int type, uint64_t rows, uint64_t columns, int64_t ld);
  int (*layout_destroy)(Layout);
  int (*preference_create)(Preference*);
  int (*preference_destroy)(Preference);
  int (*preference_set)(Preference, int attribute, const void* value, size_t bytes);
  int (*heuristics)(Handle, Description, Layout a, Layout b, Layout c, Layout d, Preference,
                    int wanted, Heuristic* results, int* found);
  int (*check)(Handle, Description, Layout a, Layout b, Layout c, Layout d, const Algorithm*,
               Heuristic* result);
  int (*multiply)(Handle, Description, const void* alpha, const void* a, Layout, const void* b,
                  Layout, const void* beta, const void* c, Layout, void* d, Layout,
                  const Algorithm*, void* workspace, size_t workspace_bytes, void* stream);
};

// The library, loaded on first use: $MASKSEARCH_CUBLASLT, else libcublasLt.so.13 or .12 where the
// loader finds them or in /usr/local/cuda/lib64. @throws UnavailableError it is not there, or lacks a function.
const CublasLt& cublas_lt();

}  // namespace masksearch::cuda
