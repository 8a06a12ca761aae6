// SPDX-License-Identifier: MIT
// Arithmetic whose bits must be those of IEEE 754, in whole numbers where a driver's own is looser:
// Vulkan lets f32 division be wrong by 2.5 units in the last place, and denormals count as 0.

// Bits 0..keep-1 of the result are value >> drop, rounded to nearest, even on a tie. `sticky`: what
// lies below the value's last bit is not 0. drop: 1..31.
uint round_even(uint value, uint drop, bool sticky)
{
    uint kept = value >> drop, rest = value & (1u << drop) - 1u, half_way = 1u << drop - 1u;
    bool up = rest > half_way || rest == half_way && (sticky || (kept & 1u) != 0u);
    return kept + uint(up);
}

// kept 2^exponent, where kept is 2^24 at most and the result is a normal number.
float scaled(uint kept, int exponent)
{
    return uintBitsToFloat(floatBitsToUint(float(kept)) + (uint(exponent) << 23));
}

// To nearest, even on a tie.
float uint_to_float(uint x)
{
    if (x < 0x1000000u)
        return float(x);
    uint drop = uint(findMSB(x)) - 23u;
    return drop == 0u ? float(x) : scaled(round_even(x, drop, false), int(drop));
}

float int_to_float(int x)
{
    return x < 0 ? -uint_to_float(uint(-x)) : uint_to_float(uint(x)); // -x of -2^31 has its bits
}

// Towards 0, to the nearest end where it does not fit, NaN to 0.
int float_to_int(float x)
{
    if (is_nan(x))
        return 0;
    return x >= 2147483648.0 ? 0x7fffffff : x <= -2147483648.0 ? int(0x80000000u) : int(x);
}

uint float_to_byte(float x)
{
    if (is_nan(x))
        return 0u;
    return x >= 255.0 ? 255u : x > 0.0 ? uint(x) : 0u;
}

// A positive finite number as mantissa 2^exponent, mantissa in 2^23..2^24-1; by bits, so that
// denormals count.
void split(uint bits, out uint mantissa, out int exponent)
{
    mantissa = bits & 0x7fffffu;
    exponent = int(bits >> 23) - 150;
    if (bits >= 0x800000u) {
        mantissa |= 0x800000u;
        return;
    }
    int shift = 23 - findMSB(mantissa);
    mantissa <<= shift;
    exponent = -149 - shift;
}

// x / 127 for x = 2^-100 or more (as bits, as below).
float divide_by_127(uint bits)
{
    uint mantissa;
    int exponent;
    split(bits, mantissa, exponent);
    uint wide = mantissa << 8, quotient = wide / 127u; // 25 or 26 bits
    uint drop = quotient >= 0x2000000u ? 2u : 1u;
    return scaled(round_even(quotient, drop, quotient * 127u != wide), exponent - 8 + int(drop));
}

// 1 / x times 2^shift, rounded as 1 / x is (to a denormal, if it is one) before it is scaled;
// infinity if 1 / x is beyond f32. `shift` makes the result a normal number. x is positive and
// finite.
float reciprocal(uint bits, int shift)
{
    uint mantissa;
    int exponent;
    split(bits, mantissa, exponent);
    // 2^48 / mantissa, a bit at a time: 25 bits, or 2^25.
    uint quotient, rest = 0u;
    if (mantissa == 0x800000u) {
        quotient = 0x2000000u;
    } else {
        quotient = 0u;
        rest = 0x800000u;
        for (int i = 0; i < 25; i++) {
            rest <<= 1;
            bool fits = rest >= mantissa;
            rest -= fits ? mantissa : 0u;
            quotient = quotient << 1 | uint(fits);
        }
    }
    // 1 / x = quotient 2^(-48 - exponent); the last place of f32 is 2^-149 at least.
    int last = max(-47 - exponent, -149);
    uint kept = round_even(quotient, uint(last + 48 + exponent), rest != 0u);
    if (last > 104 || last == 104 && kept == 0x1000000u)
        return uintBitsToFloat(0x7f800000u);
    return scaled(kept, last + shift);
}
