//! The words and signs behind a number, and what they mean.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::units::{Dimension, Meaning, Unit};

/// "300 K" of a temperature, or of money.
pub const KELVIN_OR_THOUSAND: &str = "\u{2}K";

const SCALES: [(f64, &str); 10] = [
    (12.0, "dozen"),
    (1e2, "hundred hundert centaines 百"),
    (1e3, "thousand tausend mille mil mila tys тысяч тысячи тыс k K 千 천"),
    (1e4, "万 萬 만"),
    (1e5, "lakh lakhs लाख"),
    (
        1e6,
        "million millions millionen mio millones milione milioni milhão milhões миллион миллиона миллионов млн mln mn M 百万",
    ),
    (1e7, "crore crores करोड़"),
    (1e8, "億 亿 억"),
    (
        1e9,
        "billion billions bn milliarde milliarden mrd milliard milliards miliardi миллиард миллиардов млрд B",
    ),
    (1e12, "trillion trillions billionen 兆"),
];

const MEASURES: [(Dimension, f64, &str); 82] = {
    use Dimension::*;
    [
        (
            Length,
            1e3,
            "km kms kilometer kilometers kilometre kilometres kilometern kilomètre kilomètres kilómetro kilómetros chilometri quilômetros км километров километра 公里 千米 キロメートル",
        ),
        (
            Length,
            1.0,
            "m meter meters metre metres metern mètre mètres metro metros metri м метр метров метра 米 メートル",
        ),
        (Length, 1e-1, "dm"),
        (
            Length,
            1e-2,
            "cm centimeter centimeters centimetre centimetres zentimeter centimètres centímetros см 厘米 センチ",
        ),
        (Length, 1e-3, "mm millimeter millimeters millimetre millimetres мм 毫米"),
        (Length, 1e-6, "µm μm um micrometer micrometers micron microns"),
        (Length, 1e-9, "nm nanometer nanometers nanometre nanometres"),
        (Length, 1609.344, "mi mile miles meilen milles millas 英里"),
        (Length, 0.9144, "yd yds yard yards"),
        (Length, 0.3048, "ft foot feet fuß pieds pies 英尺"),
        (Length, 0.0254, "inch inches zoll pulgadas pouces 英寸"),
        (Length, 9.4607e15, "ly lightyear lightyears"),
        (Area, 1.0, "m² m2 m^2 sqm qm м²"),
        (Area, 1e6, "km² km2 km^2"),
        (Area, 1e-4, "cm² cm2 cm^2"),
        (Area, 1e4, "ha hectare hectares hektar"),
        (Area, 4046.856, "acre acres"),
        (Area, 0.092903, "ft² ft2 ft^2 sqft"),
        (Volume, 1e3, "m³ m3 m^3"),
        (
            Volume,
            1e-3,
            "cm³ cm3 cm^3 ml mL milliliter milliliters millilitre millilitres cc мл 毫升",
        ),
        (Volume, 1.0, "l L liter liters litre litres litros litri литр литров литра 升 リットル"),
        (Volume, 1e-2, "cl cL"),
        (Volume, 0.1, "dl dL"),
        (Volume, 0.2365882, "cup cups"),
        (Volume, 0.01478676, "tablespoon tablespoons tbsp"),
        (Volume, 0.00492892, "teaspoon teaspoons tsp"),
        (Volume, 3.785412, "gal gallon gallons"),
        (Volume, 0.4731765, "pint pints"),
        (Volume, 0.9463529, "quart quarts"),
        (Mass, 1e6, "t ton tons tonne tonnes tonnen toneladas тонн 吨 トン"),
        (
            Mass,
            1e3,
            "kg kgs kilo kilos kilogram kilograms kilogramme kilogrammes kilogramm kilogramos chilogrammi кг килограмм килограммов 公斤 千克 キログラム キロ",
        ),
        (Mass, 1.0, "g gr gram grams gramm gramme grammes gramos grammi г грамм граммов 克 グラム"),
        (Mass, 1e-3, "mg milligram milligrams milligramm мг 毫克"),
        (Mass, 1e-6, "µg μg mcg microgram micrograms"),
        (Mass, 453.59237, "lb lbs"),
        (Mass, 6350.29318, "stone"),
        (Mass, 28.349523, "oz ounce ounces unzen"),
        (Duration, 1e-3, "ms millisecond milliseconds millisekunden"),
        (
            Duration,
            1.0,
            "s sec secs second seconds sekunde sekunden seconde secondes segundo segundos secondi секунд секунды 秒",
        ),
        (
            Duration,
            60.0,
            "min mins minute minutes minuten minuto minutos minuti минут минуты 分钟 分",
        ),
        (
            Duration,
            3600.0,
            "h hr hrs hour hours stunde stunden std heure heures hora horas ora ore час часа часов 小时 小時 時間 시간",
        ),
        (
            Duration,
            86400.0,
            "day days tag tage tagen jour jours día días dia dias giorno giorni день дня дней 天 日間",
        ),
        (
            Duration,
            604800.0,
            "week weeks woche wochen semaine semaines semana semanas settimana settimane неделя недели недель 周 週間",
        ),
        (
            Months,
            1.0,
            "month months monat monate monaten mois mes meses mese mesi месяц месяца месяцев 个月 ヶ月",
        ),
        (
            Months,
            12.0,
            "yr yrs year years jahr jahre jahren ans année années año años ano anos anni год года лет 年間",
        ),
        (Months, 120.0, "decade decades jahrzehnte"),
        (Months, 1200.0, "century centuries jahrhunderte"),
        (Speed, 1.0, "m/s"),
        (Speed, 0.277_777_777_8, "km/h kmh kph"),
        (Speed, 0.44704, "mph"),
        (Celsius, 1.0, "°C celsius ℃"),
        (Fahrenheit, 1.0, "°F fahrenheit ℉"),
        (Kelvin, 1.0, "kelvin"),
        (KelvinOrThousand, 1.0, KELVIN_OR_THOUSAND),
        (Data, 1.0, "byte bytes"),
        (Data, 0.125, "bit bits"),
        (Data, 1e3, "KB kB kb kilobyte kilobytes"),
        (Data, 1e6, "MB mb megabyte megabytes"),
        (Data, 1e9, "GB gb gigabyte gigabytes"),
        (Data, 1e12, "TB tb terabyte terabytes"),
        (Data, 1024.0, "KiB kibibyte kibibytes"),
        (Data, 1_048_576.0, "MiB mebibyte mebibytes"),
        (Data, 1_073_741_824.0, "GiB gibibyte gibibytes"),
        (Data, 1_099_511_627_776.0, "TiB tebibyte tebibytes"),
        (Energy, 1.0, "J joule joules"),
        (Energy, 1e3, "kJ kilojoule kilojoules"),
        (Energy, 3.6e6, "kWh"),
        (Power, 1.0, "W watt watts"),
        (Power, 1e3, "kW kilowatt kilowatts"),
        (Frequency, 1.0, "Hz hertz"),
        (Power, 745.699_872, "hp horsepower"),
        (Pressure, 101_325.0, "atm"),
        (Pressure, 6894.757, "psi"),
        (Pressure, 133.322_4, "mmHg torr"),
        (Level, 1.0, "dB decibel decibels"),
        (Fraction, 1e-3, "‰ permille promille"),
        (Fraction, 1e-6, "ppm"),
        (Fraction, 1e-9, "ppb"),
        (
            Points,
            1.0,
            "pp prozentpunkt prozentpunkte prozentpunkten procentpoint procentenheter prosentpoeng procentpunten 个百分点 百分点 パーセントポイント",
        ),
        (Points, 0.01, "bp"),
        (Angle, 57.295_779_513_082, "rad radian radians"),
        (Angle, 1.0, "° degree degrees grad degrés grados gradi 度"),
    ]
};

/// Signs that take prefixes: with which, and what one of them is in its dimension's own unit. Only
/// prefixes that are in use: "5 TV" are televisions, and "5 PC" are computers.
const SIGNS: [(Dimension, f64, &str, &str); 29] = {
    use Dimension::*;
    [
        (Length, 1.0, "m", "npf"),
        (Mass, 1.0, "g", "np"),
        (Duration, 1.0, "s", "µμnpf"),
        (Volume, 1.0, "l", "µμnh"),
        (Volume, 1.0, "L", "µμnh"),
        (Current, 1.0, "A", " mµμnpkK"),
        (Voltage, 1.0, "V", " mµμnkKM"),
        (Resistance, 1.0, "Ω", " mkKMG"),
        (Resistance, 1.0, "\u{2126}", " mkKMG"),
        (Power, 1.0, "W", "mµμnKMGT"),
        (Energy, 1.0, "J", "mµμMGTK"),
        (Energy, 1.602_176_634e-19, "eV", " mkKMGT"),
        (Energy, 3600.0, "Wh", " mMGT"),
        (Energy, 4.184, "cal", " k"),
        (Force, 1.0, "N", " mµμkKMG"),
        (Pressure, 1.0, "Pa", " mhkKMG"),
        (Pressure, 1e5, "bar", " mk"),
        (Frequency, 1.0, "Hz", "mkKMGT"),
        (Amount, 1.0, "mol", " mµμnpk"),
        (Data, 1.0, "B", "P"),
        (Data, 0.125, "b", "KMGT"),
        (Charge, 1.0, "C", "mµμn"),
        (Charge, 3600.0, "Ah", " mk"),
        (Capacitance, 1.0, "F", "mµμnp"),
        (Inductance, 1.0, "H", "mµμn"),
        (FluxDensity, 1.0, "T", " mµμn"),
        (Activity, 1.0, "Bq", " kMGT"),
        (Dose, 1.0, "Sv", " mµμn"),
        (Absorbed, 1.0, "Gy", " mµμ"),
    ]
};

/// Names that take prefixes.
const NAMES: [(Dimension, f64, &str); 15] = {
    use Dimension::*;
    [
        (Length, 1.0, "meter meters metre metres"),
        (Mass, 1.0, "gram grams"),
        (Duration, 1.0, "second seconds"),
        (Volume, 1.0, "liter liters litre litres"),
        (Current, 1.0, "amp amps ampere amperes"),
        (Voltage, 1.0, "volt volts"),
        (Resistance, 1.0, "ohm ohms"),
        (Power, 1.0, "watt watts"),
        (Energy, 1.0, "joule joules"),
        (Force, 1.0, "newton newtons"),
        (Pressure, 1.0, "pascal pascals"),
        (Frequency, 1.0, "hertz"),
        (Amount, 1.0, "mole moles"),
        (Data, 1.0, "byte bytes"),
        (Data, 0.125, "bit bits"),
    ]
};

const PREFIXES: [(&str, &str, f64); 16] = [
    ("f", "femto", 1e-15),
    ("p", "pico", 1e-12),
    ("n", "nano", 1e-9),
    ("µ", "micro", 1e-6),
    ("μ", "micro", 1e-6),
    ("m", "milli", 1e-3),
    ("c", "centi", 1e-2),
    ("d", "deci", 1e-1),
    (" ", "", 1.0),
    ("h", "hecto", 1e2),
    ("k", "kilo", 1e3),
    ("K", "kilo", 1e3),
    ("M", "mega", 1e6),
    ("G", "giga", 1e9),
    ("T", "tera", 1e12),
    ("P", "peta", 1e15),
];

/// All signs and names with their prefixes.
fn prefixed() -> Vec<(String, Dimension, f64)> {
    let mut found = Vec::new();
    for (sign, name, power) in PREFIXES {
        for (dimension, factor, base, prefixes) in SIGNS {
            if prefixes.contains(sign) {
                found.push((format!("{}{base}", sign.trim()), dimension, power * factor));
            }
        }
        for (dimension, factor, bases) in NAMES {
            for base in bases.split(' ') {
                found.push((format!("{name}{base}"), dimension, power * factor));
            }
        }
    }
    found
}

const MONEY: [(Option<&str>, &str); 16] = [
    (Some("USD"), "dollar dollars usd dólares dollari долларов доллара 美元 ドル"),
    (Some("EUR"), "euro euros eur euronen евро 欧元 ユーロ €"),
    (Some("GBP"), "gbp quid £"),
    (Some("JPY"), "yen jpy 円"),
    (Some("CNY"), "yuan rmb cny renminbi 元 块 人民币"),
    (Some("INR"), "rupee rupees inr ₹ रुपये"),
    (Some("CHF"), "chf franken"),
    (Some("RUB"), "rub rouble roubles ruble rubles руб рублей рубля рубль ₽"),
    (Some("KRW"), "원 krw"),
    (Some("BRL"), "reais brl"),
    (Some("PLN"), "zł pln złoty złotych"),
    (Some("CZK"), "Kč kč czk"),
    (Some("SEK"), "sek"),
    (Some("TRY"), "lira ₺"),
    (Some("MXN"), "pesos peso"),
    (None, "$ ¥"),
];

const OTHERS: [(Unit, &str); 4] = [
    (Unit::Percent, "% percent prozent percento porcento pourcent pct процентов процента ％"),
    (Unit::Cents, "¢ cent cents"),
    (Unit::Pence, "pence penny pennies"),
    (Unit::Pound, "pound pounds pfund livres libras фунтов"),
];

static TABLE: LazyLock<HashMap<String, Meaning>> = LazyLock::new(|| {
    let mut table = HashMap::new();
    let mut add = |words: &str, meaning: Meaning| {
        table.extend(words.split(' ').map(|word| (word.to_owned(), meaning)));
    };
    SCALES.iter().for_each(|&(factor, words)| add(words, Meaning::Scale(factor)));
    MEASURES.iter().for_each(|&(dimension, factor, words)| {
        add(words, Meaning::Unit(Unit::Measure(dimension, factor)));
    });
    MONEY.iter().for_each(|&(code, words)| add(words, Meaning::Unit(Unit::Money(code))));
    OTHERS.iter().for_each(|&(unit, words)| add(words, Meaning::Unit(unit)));
    for (word, dimension, factor) in prefixed() {
        let meaning = Meaning::Unit(Unit::Measure(dimension, factor));
        table.entry(word).or_insert(meaning);
    }
    table
});

/// The meaning of a word: signs as they are written, names in any case.
pub fn meaning(word: &str) -> Option<Meaning> {
    TABLE.get(word).copied().or_else(|| {
        let lower = word.to_lowercase();
        // "5 M" is not five metres.
        (word.chars().count() > 2).then(|| TABLE.get(lower.as_str()).copied()).flatten()
    })
}
