// SPDX-License-Identifier: MIT
// exp, sigmoid, erf, and the activations of enum cr_activation. NaN gives NaN; what
// infinities give follows from the formulas in IEEE 754.
//
// Own exp: the error that Vulkan allows a driver's grows with |x|. x = n ln 2 + r, |r| <= ln 2 / 2,
// e^r by its Taylor polynomial of degree 7; relative error under 2e-7. `precise`, so that every
// shader that includes this gives the same bits.

// As enum cr_activation; SIGMOID is none of these, but an operation.
const uint ACTIVATION_NONE = 0, ACTIVATION_GELU = 1, ACTIVATION_QUICK_GELU = 2,
           ACTIVATION_SILU = 3, ACTIVATION_RELU = 4, ACTIVATION_SIGMOID = 5;

// e^x; overflows to infinity, underflows to 0 (through the denormals, where the driver keeps them).
float exp_f32(float x)
{
    // Beyond 88.8 e^x overflows, below -104 it is 0. NaN takes whatever way: see the end.
    precise float c = x > 88.8 ? 88.8 : x < -104.0 ? -104.0 : x;
    precise float n = floor(c * 1.44269504088896341 + 0.5);
    // 0.693359375 is exact in 9 bits, so that n times it is exact.
    precise float r = c - n * 0.693359375;
    r = r + n * 2.12194440e-4;
    precise float p = 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    // 2^n in two steps: n runs from -150 to 128, beyond the exponents of normal numbers.
    int whole = is_nan(x) ? 0 : int(n), first = whole >> 1, second = whole - first;
    precise float y = p * uintBitsToFloat(uint(first + 127) << 23);
    y = y * uintBitsToFloat(uint(second + 127) << 23);
    return is_nan(x) ? x : y;
}

float sigmoid(float x)
{
    precise float y = 1.0 / (1.0 + exp_f32(-x));
    return is_nan(x) ? x : y;
}

// erf x for 0 <= x < 1: x P(x^2); relative error under 2e-7. Minimax coefficients, made for this.
float erf_near(float x)
{
    precise float s = x * x;
    precise float p = 7.853870192775503e-05;
    p = p * s - 8.010196615941823e-04;
    p = p * s + 5.188328213989735e-03;
    p = p * s - 2.6853812858462334e-02;
    p = p * s + 0.1128358542919159;
    p = p * s - 0.3761262595653534;
    p = p * s + 1.1283791065216064;
    precise float y = x * p;
    return y;
}

// 1 - erf x for x >= 1: e^(-x^2) t Q(t), t = 1 / (1 + x / 2), which does not cancel; relative error
// under 2e-7 (1 + x^2), absolute error under 1e-7.
float erfc_far(float x)
{
    precise float t = 1.0 / (1.0 + 0.5 * x);
    precise float q = 0.09303158521652222;
    q = q * t - 0.22484709322452545;
    q = q * t + 0.08064655214548111;
    q = q * t + 0.06225285679101944;
    q = q * t + 0.17828209698200226;
    q = q * t + 0.2470785677433014;
    q = q * t + 0.2820254862308502;
    q = q * t + 0.2820991277694702;
    precise float y = q * t * exp_f32(-x * x);
    return y;
}

float erf_f32(float x)
{
    float a = abs(x);
    precise float y = a < 1.0 ? erf_near(a) : 1.0 - erfc_far(a);
    return is_nan(x) ? x : x < 0.0 ? -y : y;
}

// x Phi(x), Phi(x) = (1 + erf(x / sqrt 2)) / 2
float gelu(float x)
{
    float a = abs(x) * 0.70710678118654752;
    precise float tail = a < 1.0 ? 0.5 - 0.5 * erf_near(a) : 0.5 * erfc_far(a);
    precise float y = x * (x < 0.0 ? tail : 1.0 - tail);
    return is_nan(x) ? x : y;
}

// By bits: -0 and denormals stay, and no compiler makes a maximum of it, which would lose NaN.
float relu(float x)
{
    return floatBitsToUint(x) - 0x80000001u <= 0x7f7fffffu ? 0.0 : x; // from -denormal to -infinity
}

float silu(float x)
{
    precise float y = x * sigmoid(x);
    return is_nan(x) ? x : y;
}

float quick_gelu(float x)
{
    precise float y = x * sigmoid(1.702 * x);
    return is_nan(x) ? x : y;
}

// `kind` is best a specialisation constant.
float activate(uint kind, float x)
{
    switch (kind) {
    case ACTIVATION_GELU:
        return gelu(x);
    case ACTIVATION_QUICK_GELU:
        return quick_gelu(x);
    case ACTIVATION_SILU:
        return silu(x);
    case ACTIVATION_RELU:
        return relu(x);
    case ACTIVATION_SIGMOID:
        return sigmoid(x);
    default:
        return x;
    }
}
