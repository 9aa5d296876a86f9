// Products of columns of 32 rows side by side, for compress (columns.go). Each sum runs over the columns in order, with every
// product rounded before it is subtracted, so that all instruction sets give the same bits: vectors only take more rows at
// once.
#include "kernels.h"

enum { WIDTH = 8 };  // of a vector, which compilers split where the machine has none so long
typedef double vec __attribute__((vector_size(WIDTH * sizeof(double)), aligned(sizeof(double))));

// dst[k] -= sum of coefficients[k][j] * src[j]. Four sums of eight rows stay in registers.
#define SUBTRACT_PRODUCTS                                                                                           \
  for (int64_t k = 0; k < columns; k++, dst += COLUMN, coefficients += stride) {                                     \
    vec *to = (vec *)dst;                                                                                           \
    vec a = to[0], b = to[1], c = to[2], d = to[3];                                                                 \
    const vec *from = (const vec *)src;                                                                             \
    for (int64_t j = 0; j < terms; j++, from += 4) {                                                                \
      const double u = coefficients[j];                                                                             \
      a -= from[0] * u, b -= from[1] * u, c -= from[2] * u, d -= from[3] * u;                                       \
    }                                                                                                               \
    to[0] = a, to[1] = b, to[2] = c, to[3] = d;                                                                     \
  }

#define PARAMETERS \
  double *dst, int64_t columns, const double *src, int64_t terms, const double *coefficients, int64_t stride

static void subtract_products(PARAMETERS) { SUBTRACT_PRODUCTS }

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void subtract_products_avx2(PARAMETERS) { SUBTRACT_PRODUCTS }
__attribute__((target("avx512f"))) static void subtract_products_avx512(PARAMETERS) { SUBTRACT_PRODUCTS }
#endif

void finch_subtract_products(PARAMETERS) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) {
    subtract_products_avx512(dst, columns, src, terms, coefficients, stride);
    return;
  }
  if (__builtin_cpu_supports("avx2")) {
    subtract_products_avx2(dst, columns, src, terms, coefficients, stride);
    return;
  }
#endif
  subtract_products(dst, columns, src, terms, coefficients, stride);
}
