// SPDX-License-Identifier: MIT
// Floats as unsigned numbers of the same order, so that no driver loses a NaN or a denormal on the
// way: NaN comes out on top, 0 stands below everything.
const uint ORDER_NAN = 0xffffffffu;

uint order_of(float x)
{
    uint bits = floatBitsToUint(x);
    if (is_nan(x))
        return ORDER_NAN;
    return (bits & 0x80000000u) != 0u ? ~bits : bits | 0x80000000u;
}

// The same with 0 and -0 as equals.
uint order_of_equals(float x)
{
    return order_of(floatBitsToUint(x) == 0x80000000u ? 0.0 : x);
}

float from_order(uint order)
{
    if (order == ORDER_NAN)
        return uintBitsToFloat(0x7fc00000u);
    return uintBitsToFloat((order & 0x80000000u) != 0u ? order & 0x7fffffffu : ~order);
}
