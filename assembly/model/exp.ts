/**
 * e^x for four lanes: x = n ln 2 + r, |r| <= ln 2 / 2, the polynomial of Cephes' expf, relative error below 2e-7.
 * Clamped to [-87, 88], so never 0, never infinite.
 */
// @ts-ignore: decorator
@inline
export function exp4(x: v128): v128 {
  const v = f32x4.pmax(f32x4.pmin(x, f32x4.splat(88)), f32x4.splat(-87));
  const magic = f32x4.splat(12582912); // 1.5 * 2^23: adding it rounds to an integer
  const shifted = f32x4.add(f32x4.mul(v, f32x4.splat(<f32>1.44269504088896341)), magic);
  const n = f32x4.sub(shifted, magic);
  const r = f32x4.sub(
    f32x4.sub(v, f32x4.mul(n, f32x4.splat(<f32>0.693359375))),
    f32x4.mul(n, f32x4.splat(<f32>-2.12194440e-4)),
  );
  let p = f32x4.splat(<f32>1.9875691500e-4);
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(<f32>1.3981999507e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(<f32>8.3334519073e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(<f32>4.1665795894e-2));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(<f32>1.6666665459e-1));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(<f32>5.0000001201e-1));
  p = f32x4.add(f32x4.mul(p, f32x4.mul(r, r)), f32x4.add(r, f32x4.splat(1)));
  const power = i32x4.shl(i32x4.sub(shifted, i32x4.splat(0x4b400000 - 127)), 23); // bits of 2^n
  return f32x4.mul(p, power);
}
