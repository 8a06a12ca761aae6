// SPDX-License-Identifier: MIT
// ln x for normal positive x; NaN for NaN, infinity for infinity. Own, as Vulkan allows a driver's
// an absolute error of 2^-21 around 1, where the result is small, and ln 1 has to be 0.
//
// x = 2^n (1 + m) with 1 + m from sqrt(1/2) to sqrt 2; with s = m / (2 + m), |s| < 0.172,
// ln(1 + m) = 2 s (1 + s^2 / 3 + s^4 / 5 + s^6 / 7 + s^8 / 9), the next term being under 2e-9.
float log_f32(float x)
{
    uint bits = floatBitsToUint(x);
    if (bits >= 0x7f800000u)
        return x;
    // 0x3f3504f3 is sqrt(1/2): what lies below moves to the next lower power of two.
    int n = int(bits - 0x3f3504f3u) >> 23;
    precise float m = uintBitsToFloat(bits - (uint(n) << 23)) - 1.0;
    precise float s = m / (2.0 + m);
    precise float z = s * s;
    precise float p = 1.0 / 9.0;
    p = p * z + 1.0 / 7.0;
    p = p * z + 1.0 / 5.0;
    p = p * z + 1.0 / 3.0;
    p = 2.0 * s + 2.0 * s * z * p;
    // ln 2 in two pieces; n times the first is exact.
    precise float y = float(n) * 0.693359375 + (float(n) * -2.12194440e-4 + p);
    return y;
}
