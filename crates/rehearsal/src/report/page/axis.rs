//! Where a value is drawn, and at which round values there are lines.

/// How far apart values are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// From 0 on, the same distance for the same difference.
    Linear,
    /// The same distance for the same ratio: each line is ten times the one below it. For times, of which the usual and the worst are far apart.
    Logarithmic,
}

/// Lines at most, besides the one at the bottom.
const LINES_MAX: f64 = 4.0;
/// Decades with a line each at most; if there are more, every second has one.
const DECADES_MAX: i32 = 5;

/// An axis that holds all that it was made for.
#[derive(Debug)]
pub(super) struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    /// Ascending.
    lines: Vec<f64>,
}

impl Axis {
    /// An axis that holds `values`, which are finite and not negative. `whole` if there is nothing between 0 and 1.
    pub(super) fn holding(scale: Scale, whole: bool, values: impl Iterator<Item = f64> + Clone) -> Self {
        let most = values.clone().fold(0.0, f64::max);
        match scale {
            Scale::Linear => Self::linear(most, whole),
            // 0 has no place on such an axis and is drawn at its bottom.
            Scale::Logarithmic => Self::logarithmic(values.filter(|&value| value > 0.0).fold(most, f64::min), most),
        }
    }

    fn linear(most: f64, whole: bool) -> Self {
        let most = if most > 0.0 { most } else { 1.0 };
        let step = round_step(most / LINES_MAX);
        let step = if whole { step.max(1.0) } else { step };
        // A thousandth below a line still is the line: 0.3 is not quite three times 0.1.
        let steps = (most / step - 0.001).ceil().max(1.0);
        let lines = (0..=steps as u32).map(|at| f64::from(at) * step).collect();
        Self { scale: Scale::Linear, low: 0.0, high: steps * step, lines }
    }

    fn logarithmic(least: f64, most: f64) -> Self {
        let (least, most) = if most > 0.0 { (least, most) } else { (1.0, 10.0) };
        let low = (least.log10() + 1e-9).floor() as i32;
        let high = ((most.log10() - 1e-9).ceil() as i32).max(low + 1);
        let apart = if high - low > DECADES_MAX { 2 } else { 1 };
        let lines = (low..=high).step_by(apart).map(|decade| 10_f64.powi(decade)).collect();
        Self { scale: Scale::Logarithmic, low: 10_f64.powi(low), high: 10_f64.powi(high), lines }
    }

    /// The highest value.
    pub(super) fn high(&self) -> f64 {
        self.high
    }

    pub(super) fn lines(&self) -> &[f64] {
        &self.lines
    }

    /// How far down a value is: 0 is the top, 1 the bottom.
    pub(super) fn down(&self, value: f64) -> f64 {
        let up = match self.scale {
            Scale::Linear => value / self.high,
            Scale::Logarithmic => (value.max(self.low) / self.low).log10() / (self.high / self.low).log10(),
        };
        1.0 - up.clamp(0.0, 1.0)
    }
}

/// The smallest of 1, 2 and 5 times a power of ten that is not below `step`.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powi(step.log10().floor() as i32);
    [1.0, 2.0, 5.0].map(|digit| digit * power).into_iter().find(|round| *round >= step * 0.999).unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_at_round_values_and_the_highest_holds_all() {
        let check = |scale: Scale, whole: bool, values: &[f64], lines: &[f64]| {
            let axis = Axis::holding(scale, whole, values.iter().copied());
            let same =
                axis.lines.len() == lines.len() && axis.lines.iter().zip(lines).all(|(a, b)| (a - b).abs() <= b * 1e-9);
            assert!(same, "{:?} for {values:?}", axis.lines);
        };
        check(Scale::Linear, true, &[], &[0.0, 1.0]);
        check(Scale::Linear, true, &[0.0], &[0.0, 1.0]);
        check(Scale::Linear, true, &[1.0], &[0.0, 1.0]);
        check(Scale::Linear, true, &[3.0], &[0.0, 1.0, 2.0, 3.0]);
        check(Scale::Linear, true, &[19_000.0, 3.0], &[0.0, 5_000.0, 10_000.0, 15_000.0, 20_000.0]);
        check(Scale::Linear, false, &[0.3], &[0.0, 0.1, 0.2, 0.3]);
        check(Scale::Linear, false, &[1.0], &[0.0, 0.5, 1.0]);
        check(Scale::Logarithmic, false, &[], &[1.0, 10.0]);
        check(Scale::Logarithmic, false, &[0.0], &[1.0, 10.0]);
        check(Scale::Logarithmic, false, &[1_000.0], &[1_000.0, 10_000.0]);
        check(Scale::Logarithmic, false, &[0.0, 2_000.0, 1_200_000.0], &[1e3, 1e4, 1e5, 1e6, 1e7]);
        check(Scale::Logarithmic, false, &[1.0, 3.6e9], &[1.0, 1e2, 1e4, 1e6, 1e8, 1e10]);
    }

    #[test]
    fn values_are_where_they_belong() {
        let check =
            |axis: &Axis, value: f64, down: f64| assert!((axis.down(value) - down).abs() < 1e-9, "{value} in {axis:?}");
        let linear = Axis::holding(Scale::Linear, true, [10.0].into_iter());
        check(&linear, 0.0, 1.0);
        check(&linear, 5.0, 1.0 - 5.0 / linear.high);
        check(&linear, 1e9, 0.0);
        let logarithmic = Axis::holding(Scale::Logarithmic, false, [10.0, 1_000.0].into_iter());
        check(&logarithmic, 0.0, 1.0);
        check(&logarithmic, 100.0, 0.5);
        check(&logarithmic, 1_000.0, 0.0);
    }
}
