/* A fork that can be checked: q8_0 blocks behind the protocol of `turboquant verify --exec` (docs/oracle.md).
 *   cc -O2 -o fork examples/fork.c -lm && turboquant verify --format ggml/q8_0 --exec ./fork */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint16_t half(float f) { _Float16 h = (_Float16)f; uint16_t u; __builtin_memcpy(&u, &h, 2); return u; }
static float full(uint16_t u) { _Float16 h; __builtin_memcpy(&h, &u, 2); return (float)h; }

static void encode(const float *x, uint8_t *y, size_t blocks) {
  for (size_t b = 0; b < blocks; b++, x += 32, y += 34) {
    float most = 0;
    for (int i = 0; i < 32; i++) if (fabsf(x[i]) > most) most = fabsf(x[i]);
    float d = most / 127, inverse = d != 0 ? 1 / d : 0;
    uint16_t h = half(d);
    y[0] = h & 255; y[1] = h >> 8;
    for (int i = 0; i < 32; i++) y[2 + i] = (uint8_t)(int8_t)(int)roundf(x[i] * inverse);
  }
}

static void decode(const uint8_t *y, float *x, size_t blocks) {
  for (size_t b = 0; b < blocks; b++, x += 32, y += 34)
    for (int i = 0; i < 32; i++) x[i] = (int8_t)y[2 + i] * full((uint16_t)(y[0] | y[1] << 8));
}

int main(void) {
  uint32_t request[4]; /* op, dim, vectors, bytes */
  while (fread(request, 4, 4, stdin) == 4) {
    size_t blocks = (size_t)request[1] * request[2] / 32;
    void *in = malloc(request[3] + 1), *out = malloc(blocks * 128 + 1);
    if (!in || !out || fread(in, 1, request[3], stdin) != request[3]) return 1;
    uint32_t length = (uint32_t)(blocks * (request[0] == 1 ? 34 : 128));
    if (request[0] == 1) encode(in, out, blocks); else decode(in, out, blocks);
    fwrite(&length, 4, 1, stdout);
    fwrite(out, 1, length, stdout);
    fflush(stdout);
    free(in); free(out);
  }
  return 0;
}
