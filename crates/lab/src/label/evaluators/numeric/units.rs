//! Units and scale words behind a number.

use std::collections::HashMap;
use std::sync::LazyLock;

/// What a unit measures. Two quantities of one dimension can be converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// In metres.
    Length,
    /// In square metres.
    Area,
    /// In litres.
    Volume,
    /// In grams.
    Mass,
    /// In seconds.
    Duration,
    /// In months, which have no fixed length in seconds.
    Months,
    /// In metres per second.
    Speed,
    Celsius,
    Fahrenheit,
    Kelvin,
    /// In bytes.
    Data,
    /// In joules.
    Energy,
    /// In watts.
    Power,
    /// In degrees.
    Angle,
    /// In hertz.
    Frequency,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unit {
    None,
    /// The ISO code; `None` for an amount of the currency in question.
    Money(Option<&'static str>),
    Cents,
    Percent,
    /// A mass or a currency.
    Pound,
    /// How many of the dimension's own unit one is.
    Measure(Dimension, f64),
}

/// What a word behind a number means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Meaning {
    Scale(f64),
    Unit(Unit),
}

const SCALES: [(f64, &str); 9] = [
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

const MEASURES: [(Dimension, f64, &str); 62] = {
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
        (Volume, 1e-2, "cl"),
        (Volume, 0.1, "dl"),
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
        (Data, 1.0, "byte bytes"),
        (Data, 0.125, "bit bits"),
        (Data, 1e3, "KB kB kilobyte kilobytes"),
        (Data, 1e6, "MB megabyte megabytes"),
        (Data, 1e9, "GB gigabyte gigabytes"),
        (Data, 1e12, "TB terabyte terabytes"),
        (Energy, 1.0, "J joule joules"),
        (Energy, 1e3, "kJ kilojoule kilojoules"),
        (Energy, 3.6e6, "kWh"),
        (Power, 1.0, "W watt watts"),
        (Power, 1e3, "kW kilowatt kilowatts"),
        (Frequency, 1.0, "Hz hertz"),
        (Angle, 1.0, "° degree degrees grad degrés grados gradi 度"),
    ]
};

const MONEY: [(Option<&str>, &str); 12] = [
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
    (Some("MXN"), "pesos peso"),
    (None, "$ ¥"),
];

const OTHERS: [(Unit, &str); 3] = [
    (Unit::Percent, "% percent prozent percento porcento pourcent pct процентов процента ％"),
    (Unit::Cents, "¢ cent cents"),
    (Unit::Pound, "pound pounds pfund livres libras фунтов"),
];

static TABLE: LazyLock<HashMap<&'static str, Meaning>> = LazyLock::new(|| {
    let mut table = HashMap::new();
    let mut add = |words: &'static str, meaning: Meaning| {
        table.extend(words.split(' ').map(|word| (word, meaning)));
    };
    SCALES.iter().for_each(|&(factor, words)| add(words, Meaning::Scale(factor)));
    MEASURES.iter().for_each(|&(dimension, factor, words)| {
        add(words, Meaning::Unit(Unit::Measure(dimension, factor)));
    });
    MONEY.iter().for_each(|&(code, words)| add(words, Meaning::Unit(Unit::Money(code))));
    OTHERS.iter().for_each(|&(unit, words)| add(words, Meaning::Unit(unit)));
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

/// The meaning at the start of a text behind a number, with the bytes that it takes.
pub fn leading(text: &str) -> Option<(Meaning, usize)> {
    // "per cent", and units of several signs, before the words they begin with.
    for (phrase, name) in [
        ("per cent", "percent"),
        ("por ciento", "percent"),
        ("pour cent", "percent"),
        ("per cento", "percent"),
        ("por cento", "percent"),
        ("km/h", "km/h"),
        ("m/s", "m/s"),
        ("kilometers per hour", "km/h"),
        ("kilometres per hour", "km/h"),
        ("miles per hour", "mph"),
        ("meters per second", "m/s"),
        ("metres per second", "m/s"),
        ("square meters", "m²"),
        ("square metres", "m²"),
        ("square kilometers", "km²"),
        ("square kilometres", "km²"),
        ("square feet", "ft²"),
        ("square miles", "sqmi"),
        ("cubic meters", "m³"),
        ("cubic metres", "m³"),
        ("cubic centimeters", "cm³"),
        ("degrees celsius", "°C"),
        ("degrees fahrenheit", "°F"),
        ("degrees c", "°C"),
        ("degrees f", "°F"),
        ("grad celsius", "°C"),
        ("° c", "°C"),
        ("° f", "°F"),
        ("light years", "ly"),
        ("light-years", "ly"),
    ] {
        let found = text.get(..phrase.len()).is_some_and(|it| it.eq_ignore_ascii_case(phrase));
        if found && !text[phrase.len()..].starts_with(char::is_alphanumeric) {
            return meaning(name).map(|meaning| (meaning, phrase.len()));
        }
    }
    let is_sign = |c: char| c.is_alphanumeric() || "%°℃℉$€£¥¢₹₽²³^µμ％".contains(c);
    let end = text.find(|c| !is_sign(c)).unwrap_or(text.len());
    let word = &text[..end];
    if let Some(meaning) = meaning(word) {
        return Some((meaning, end));
    }
    // "5kg" of "5kg", "℃" of "℃。", "万" of "万人", "元" of "元左右".
    let dense = |c: char| matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}');
    let lengths = word.char_indices().skip(1).map(|(at, _)| at).filter(|&at| at <= 18);
    let mut parts: Vec<usize> = lengths.collect();
    parts.reverse();
    parts.into_iter().find_map(|at| {
        let (part, rest) = word.split_at(at);
        let splits =
            part.chars().next_back().is_some_and(|c| dense(c) || "%°℃℉$€£¥¢₹％".contains(c));
        let meaning = splits.then(|| meaning(part)).flatten()?;
        (!rest.is_empty()).then_some((meaning, at))
    })
}

/// The currency of a sign before the number.
pub fn currency(sign: &str) -> Unit {
    Unit::Money(match sign {
        "€" => Some("EUR"),
        "£" => Some("GBP"),
        "₹" => Some("INR"),
        "US$" | "USD" => Some("USD"),
        "EUR" => Some("EUR"),
        "GBP" => Some("GBP"),
        "¥" => Some("JPY"),
        "CHF" => Some("CHF"),
        "Rs" | "Rs." | "INR" => Some("INR"),
        _ => Some("USD"),
    })
}
