//! Finite fields GF(q) for prime powers q below 65,536: the arithmetic of affine coverage classes.
//!
//! An element is an integer in `0..q` whose base-p digits are the coefficients of a polynomial, the
//! constant first. The modulus is the first monic irreducible polynomial in the order of the integers
//! that encode them; stored orders depend on this choice.

/// Highest degree of a field below 2^16.
const MAX_DEGREE: usize = 15;

/// Coefficients of an element, constant first; those past the degree are 0.
type Digits = [u32; MAX_DEGREE];

/// The field with q elements.
#[derive(Clone, Debug)]
pub struct Field {
    order: u16,
    prime: u32,
    degree: usize,
    /// The modulus without its leading 1.
    modulus: Digits,
}

impl Field {
    /// Makes the field of `order` elements; `None` when no such field exists.
    #[must_use]
    pub fn new(order: u16) -> Option<Self> {
        let (prime, degree) = prime_power(order)?;
        let modulus = (0..u32::from(order))
            .map(|low| digits(low, prime, degree))
            .find(|low| degree == 1 || is_irreducible(low, prime, degree))?;
        Some(Self {
            order,
            prime,
            degree,
            modulus,
        })
    }

    /// Returns the number of elements.
    #[must_use]
    pub fn order(&self) -> u16 {
        self.order
    }

    /// Adds two elements.
    #[must_use]
    pub fn add(&self, a: u16, b: u16) -> u16 {
        let (a, b) = (self.digits(a), self.digits(b));
        self.element(&std::array::from_fn(|i| (a[i] + b[i]) % self.prime))
    }

    /// Multiplies two elements.
    #[must_use]
    pub fn multiply(&self, a: u16, b: u16) -> u16 {
        let (a, b) = (self.digits(a), self.digits(b));
        let folded = b[..self.degree]
            .iter()
            .rev()
            .fold([0; MAX_DEGREE], |sum, digit| {
                let shifted = self.times_x(&sum);
                std::array::from_fn(|i| {
                    modulo(u64::from(shifted[i]) + product(*digit, a[i]), self.prime)
                })
            });
        self.element(&folded)
    }

    fn times_x(&self, a: &Digits) -> Digits {
        let top = a[self.degree - 1];
        let mut shifted = [0; MAX_DEGREE];
        for i in 0..self.degree {
            let below = if i == 0 { 0 } else { a[i - 1] };
            let minus = u64::from(self.prime - self.modulus[i]);
            shifted[i] = modulo(u64::from(below) + minus * u64::from(top), self.prime);
        }
        shifted
    }

    fn digits(&self, element: u16) -> Digits {
        digits(u32::from(element), self.prime, self.degree)
    }

    fn element(&self, digits: &Digits) -> u16 {
        let value = digits[..self.degree]
            .iter()
            .rev()
            .fold(0, |all, digit| all * self.prime + digit);
        u16::try_from(value).expect("an element is smaller than the field's order")
    }
}

/// Returns the smallest prime power that is at least `least`; `None` when it is above 65,535.
#[must_use]
pub fn next_prime_power(least: u16) -> Option<u16> {
    (least..=u16::MAX).find(|q| prime_power(*q).is_some())
}

/// Splits `q` into its prime and exponent; `None` when it is no prime power.
fn prime_power(q: u16) -> Option<(u32, usize)> {
    let q = u32::from(q);
    if q < 2 {
        return None;
    }
    let prime = (2..=q)
        .take_while(|p| p * p <= q)
        .find(|p| q.is_multiple_of(*p))
        .unwrap_or(q);
    let (mut rest, mut degree) = (q, 0);
    while rest.is_multiple_of(prime) {
        rest /= prime;
        degree += 1;
    }
    (rest == 1).then_some((prime, degree))
}

fn digits(mut value: u32, prime: u32, degree: usize) -> Digits {
    let mut digits = [0; MAX_DEGREE];
    for digit in &mut digits[..degree] {
        *digit = value % prime;
        value /= prime;
    }
    digits
}

/// Has the monic polynomial with these lower coefficients no monic divisor of up to half its degree?
fn is_irreducible(low: &Digits, prime: u32, degree: usize) -> bool {
    (1..=degree / 2).all(|divisor_degree| {
        let count = prime.pow(u32::try_from(divisor_degree).expect("below 16"));
        (0..count).all(|divisor| {
            let divisor = digits(divisor, prime, divisor_degree);
            !divides(&divisor[..divisor_degree], low, prime, degree)
        })
    })
}

/// Divides the monic polynomial `low` by the monic polynomial `divisor`; both without their leading 1.
fn divides(divisor: &[u32], low: &Digits, prime: u32, degree: usize) -> bool {
    let mut rest = low[..degree].to_vec();
    rest.push(1);
    for top in (divisor.len()..=degree).rev() {
        let lead = rest[top];
        for (i, coefficient) in divisor.iter().enumerate() {
            let place = top - divisor.len() + i;
            let minus = product(lead, prime - coefficient);
            rest[place] = modulo(u64::from(rest[place]) + minus, prime);
        }
    }
    rest[..divisor.len()]
        .iter()
        .all(|coefficient| *coefficient == 0)
}

fn product(a: u32, b: u32) -> u64 {
    u64::from(a) * u64::from(b)
}

fn modulo(value: u64, prime: u32) -> u32 {
    u32::try_from(value % u64::from(prime)).expect("a remainder is smaller than its divisor")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_satisfies_the_axioms_for_every_order_up_to_32() {
        let orders: Vec<u16> = (0..=32).filter(|q| Field::new(*q).is_some()).collect();
        let expected = [
            2, 3, 4, 5, 7, 8, 9, 11, 13, 16, 17, 19, 23, 25, 27, 29, 31, 32,
        ];
        assert_eq!(orders, expected);
        for q in orders {
            check_axioms(&Field::new(q).unwrap());
        }
    }

    fn check_axioms(field: &Field) {
        let q = field.order();
        let table = |f: &dyn Fn(u16, u16) -> u16| -> Vec<Vec<u16>> {
            (0..q).map(|a| (0..q).map(|b| f(a, b)).collect()).collect()
        };
        let sum = table(&|a, b| field.add(a, b));
        let product = table(&|a, b| field.multiply(a, b));
        let all = 0..usize::from(q);
        for a in all.clone() {
            assert_eq!(usize::from(sum[a][0]), a, "0 is neutral in GF({q})");
            assert_eq!(usize::from(product[a][1]), a, "1 is neutral in GF({q})");
            assert!(sum[a].contains(&0), "{a} has a negative in GF({q})");
            assert!(
                a == 0 || product[a].contains(&1),
                "{a} has an inverse in GF({q})"
            );
            for b in all.clone() {
                assert_eq!(sum[a][b], sum[b][a], "GF({q})");
                assert_eq!(product[a][b], product[b][a], "GF({q})");
                let (ab, a_b) = (usize::from(product[a][b]), usize::from(sum[a][b]));
                for c in all.clone() {
                    let (bc, b_c) = (usize::from(product[b][c]), usize::from(sum[b][c]));
                    assert_eq!(sum[a_b][c], sum[a][b_c], "GF({q})");
                    assert_eq!(product[ab][c], product[a][bc], "GF({q})");
                    let ac = usize::from(product[a][c]);
                    assert_eq!(product[a][b_c], sum[ab][ac], "GF({q})");
                }
            }
        }
    }

    #[test]
    fn large_fields_have_inverses() {
        for q in [625, 729, 961, 1021, 1024, 32_768, 65_521] {
            let field = Field::new(q).unwrap();
            for a in [1, 2, 3, q / 2, q - 1] {
                // Lagrange: a^(q-1) = 1 for every a but 0.
                let mut power = 1;
                for bit in (0..16).rev() {
                    power = field.multiply(power, power);
                    if ((q - 1) >> bit) & 1 == 1 {
                        power = field.multiply(power, a);
                    }
                }
                assert_eq!(power, 1, "{a} in GF({q})");
            }
        }
    }

    #[test]
    fn next_prime_power_is_the_smallest_that_suffices() {
        for (least, expected) in [
            (0, 2),
            (2, 2),
            (6, 7),
            (10, 11),
            (14, 16),
            (33, 37),
            (1000, 1009),
        ] {
            assert_eq!(next_prime_power(least), Some(expected));
        }
        assert_eq!(next_prime_power(65_522), None);
    }
}
