//! Units, currencies, number words, and the options that say what a unit counts for.

use super::golden::{C, W, check};
use super::grade_boxed;
use crate::{MathOptions, Units, Verdict, grade_math};

#[test]
fn units_compare_by_what_they_measure() {
    let cases = [
        ("5 cm^3", "5 cm^2", W),
        (r"5\text{ cm}^3", r"5\text{ cm}^2", W),
        (r"5\text{ cm}^2", r"5\ \mathrm{cm}^2", C),
        ("5 cm²", r"5\text{ square cm}", C),
        (r"5 \text{ square centimeters}", "5 cm^2", C),
        (r"5\text{ cubic units}", r"5\text{ square units}", W),
        (r"5\text{ square units}", r"5\text{ cm}^2", C),
        ("5 cm^2", "5", C),
        ("500 cm", "5 m", C),
        ("5 cm", "5 m", W),
        (r"2 \text{ hours}", r"120\text{ minutes}", C),
        (r"60 \text{ km/h}", r"60 \frac{km}{h}", W),
        (r"60 \text{ km/h}", r"60 \text{ km per hour}", C),
        (r"36 \text{ km/h}", r"10 \text{ m/s}", C),
        (r"60 \text{ mph}", r"60\text{ miles per hour}", C),
        (r"1000\text{ mL}", r"1 \text{ liter}", C),
        ("5 m/s", "5", C),
        (r"5\text{ m/s}", r"5\text{ m}", W),
        (r"5\text{ apples}", "5", C),
        (r"5\text{ apples}", r"5\text{ red apples}", C),
        (r"\$5", "5", C),
        (r"\$5", "€5", W),
        ("€5", "5€", C),
        (r"\$5", "£5", W),
        (r"\$5.00", "5 dollars", C),
        (r"500\text{ cents}", r"\$5", C),
        (r"\$5\text{ million}", "5000000", C),
        (r"-\$5", "-5", C),
        (r"\$20/\text{hour}", "20", C),
        ("3:45 PM", "3:45 AM", W),
        ("3:45 p.m.", "3:45 PM", C),
        (r"3:45 \text{ PM}", "3:45", C),
        (r"5\text{ miles north}", r"5 \text{ miles south}", W),
        (r"10\%\text{ increase}", r"10\%\text{ decrease}", W),
        ("5 tenths", "0.5", C),
        ("5 tenths", "5", W),
        ("3 quarters", "3/4", C),
        ("3 quarters", "3", C),
        ("two", "2", C),
        (r"\text{twenty-one}", "21", C),
        ("2", "two", C),
        ("two", "3", W),
        ("2020-05-05", "May 5, 2020", C),
        ("5 May 2020", "May 5, 2020", C),
        ("May 6", "May 5", W),
        ("May 5th", "May 5", C),
        ("May 5, 2021", "May 5, 2020", W),
        ("15:45", "3:45 PM", C),
        ("15:45", "3:45 AM", W),
        (r"3 \text{ PM}", "3:00 PM", C),
        ("2 dozen", "24", C),
        ("$143 miles per hour$", "143", C),
        ("$143 mph$", "143", C),
        ("$143 mph$", r"143\text{ miles per hour}", C),
        ("$143 mph$", r"143\text{ meters per second}", W),
        (r"180^\circ", r"\pi", C),
        (r"\pi", r"180^\circ", C),
        (r"90^\circ", r"\pi", W),
        (r"90^\circ", "90", C),
    ];
    check(&cases, grade_boxed);
}

#[test]
fn options_say_what_a_unit_counts_for() {
    let cases = [
        ("5 cm", "5 m", Units::Ignore, C),
        ("5 cm", "5 m", Units::Compare, W),
        ("5", "5 m", Units::Compare, C),
        ("5", "5 m", Units::Require, W),
        ("500 cm", "5 m", Units::Require, C),
        ("5 m", "5", Units::Require, C),
    ];
    for (answer, gold, units, verdict) in cases {
        let options = MathOptions {
            units,
            ..MathOptions::default()
        };
        let found = grade_math(&format!("\\boxed{{{answer}}}"), gold, &options);
        assert_eq!(found.verdict, verdict, "{answer} / {gold} / {units:?}: {found:?}");
    }
}

#[test]
fn a_tolerance_counts_only_where_it_is_asked_for() {
    let asked = MathOptions {
        tolerance_ppm: 1000,
        ..MathOptions::default()
    };
    let cases = [
        ("3.1416", r"\pi", C),
        ("3.15", r"\pi", W),
        ("(0.333, 2)", "(1/3, 2)", C),
        ("0.333", "1/3", C),
    ];
    for (answer, gold, verdict) in cases {
        let boxed = format!("\\boxed{{{answer}}}");
        assert_eq!(grade_math(&boxed, gold, &asked).verdict, verdict, "{answer} / {gold}");
        assert_eq!(
            grade_math(&boxed, gold, &MathOptions::default()).verdict,
            Verdict::Wrong,
            "{answer} / {gold}"
        );
    }
}
