//! The closed word lists of the guards.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::words::stem;

/// What "first" and "1st" are read as.
pub(super) const FIRST: &str = "1st";

/// Digits of a number that is written out. "one" is left out: it is a pronoun more often.
pub(super) fn number(word: &str) -> Option<&'static str> {
    static TABLE: LazyLock<HashMap<&str, &str>> =
        LazyLock::new(|| NUMBERS.split_whitespace().filter_map(|it| it.split_once('=')).collect());
    TABLE.get(word).copied()
}

/// The canonical sign of a unit or a currency.
pub(super) fn unit(word: &str) -> Option<&'static str> {
    static TABLE: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
        let units = UNITS.split_whitespace().filter_map(|it| it.split_once('='));
        units.flat_map(|(sign, names)| names.split(',').map(move |name| (name, sign))).collect()
    });
    TABLE.get(word).copied()
}

/// Names that people write in lower case too: languages, countries, days, makers of things.
pub(super) fn is_name(word: &str) -> bool {
    static TABLE: LazyLock<HashSet<&str>> = LazyLock::new(|| NAMES.split_whitespace().collect());
    TABLE.contains(word)
}

/// Words that turn a sentence around.
pub(super) fn is_negation(word: &str) -> bool {
    static TABLE: LazyLock<HashSet<&str>> =
        LazyLock::new(|| NEGATIONS.split_whitespace().collect());
    TABLE.contains(word)
}

/// The first of the words that may stand for the one with this stem.
pub(super) fn synonym(word_stem: &str) -> Option<&'static str> {
    static TABLE: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
        let groups = SYNONYMS.split_whitespace().filter_map(|group| {
            let first = stem(group.split('/').next()?);
            Some(group.split('/').map(move |word| (stem(word), first)))
        });
        groups.flatten().collect()
    });
    TABLE.get(word_stem).copied()
}

/// What a word cannot stand for.
pub(super) fn opposites(word: &str) -> &'static [&'static str] {
    static TABLE: LazyLock<HashMap<&str, Vec<&str>>> = LazyLock::new(|| {
        let mut table: HashMap<&str, Vec<&str>> = HashMap::new();
        for (a, b) in OPPOSITES.split_whitespace().filter_map(|it| it.split_once('/')) {
            table.entry(a).or_default().push(b);
            table.entry(b).or_default().push(a);
        }
        table
    });
    TABLE.get(word).map_or(&[], Vec::as_slice)
}

/// Words that say which way a relation goes between what stands left and right of them.
pub(super) fn is_connective(word: &str) -> bool {
    static TABLE: LazyLock<HashSet<&str>> =
        LazyLock::new(|| CONNECTIVES.split_whitespace().collect());
    TABLE.contains(word)
}

/// Words that carry no content of their own.
pub fn is_stopword(word: &str) -> bool {
    static TABLE: LazyLock<HashSet<&str>> =
        LazyLock::new(|| STOPWORDS.split_whitespace().collect());
    TABLE.contains(word)
}

const NUMBERS: &str = "\
    zero=0 two=2 three=3 four=4 five=5 six=6 seven=7 eight=8 nine=9 ten=10 eleven=11 twelve=12 \
    thirteen=13 fourteen=14 fifteen=15 sixteen=16 seventeen=17 eighteen=18 nineteen=19 twenty=20 \
    thirty=30 forty=40 fifty=50 sixty=60 seventy=70 eighty=80 ninety=90 hundred=100 thousand=1000 \
    million=1000000 billion=1000000000 trillion=1000000000000 dozen=12 twice=2 double=2 triple=3 \
    half=0.5 hundreds=100 thousands=1000 millions=1000000 first=1st second=2 third=3 fourth=4 fifth=5 sixth=6 seventh=7 eighth=8 ninth=9 tenth=10";

const UNITS: &str = "\
    km=km,kms,kilometer,kilometers,kilometre,kilometres m=meter,meters,metre,metres \
    cm=cm,centimeter,centimeters,centimetre,centimetres \
    mm=mm,millimeter,millimeters,millimetre,millimetres mi=mile,miles ft=ft,foot,feet \
    in=inch,inches yd=yard,yards kg=kg,kgs,kilogram,kilograms,kilo,kilos g=gram,grams \
    mg=mg,milligram,milligrams lb=lb,lbs,pound,pounds oz=oz,ounce,ounces t=ton,tons,tonne,tonnes \
    l=liter,liters,litre,litres ml=ml,milliliter,milliliters,millilitre,millilitres \
    gal=gallon,gallons cup=cup,cups s=sec,secs,seconds min=minute,minutes,mins \
    h=hour,hours,hr,hrs,hourly d=day,days,daily wk=week,weeks,weekly mo=month,months,monthly \
    y=year,years,yearly,annual,annually decade=decade,decades century=century,centuries \
    ms=ms,millisecond,milliseconds pm=pm,p.m c=°c,celsius,centigrade f=°f,fahrenheit k=kelvin \
    %=%,percent,percentage usd=dollar,dollars,usd eur=€,euro,euros,eur gbp=£,gbp jpy=¥,yen,jpy \
    inr=rupee,rupees,inr,rs cent=cents kb=kb,kilobyte,kilobytes mb=mb,megabyte,megabytes \
    gb=gb,gigabyte,gigabytes tb=tb,terabyte,terabytes w=watt,watts kw=kw,kilowatt,kilowatts \
    v=volt,volts hz=hz,hertz mph=mph kph=kph,kmh cal=calorie,calories,kcal j=joule,joules \
    rad=radian,radians deg=degrees,degree";

const NAMES: &str = "\
    africa african amazon america american android angular apple april arabic argentina asia asian \
    august australia australian austria aws azure bangalore bash beijing belgium berlin bing \
    bitcoin boston brazil brazilian britain british california canada canadian chicago chile china \
    chinese christian chrome colombia css cuba dallas december delhi denmark django docker dubai \
    dutch ebay egypt england english ethereum europe european excel facebook february finland \
    firefox florida france french friday german germany gmail golang google greece greek hebrew \
    hindi hindu hungary ibm india indian indonesia instagram intel ios iphone iran iraq ireland \
    irish islam israel italian italy january japan japanese java javascript jewish july june \
    jupiter kenya korea korean kotlin kubernetes latin linkedin linux london macbook madrid \
    malaysia mandarin march mars mercury mexican mexico microsoft monday mongodb moscow mumbai \
    muslim mysql neptune netflix netherlands nigeria norway november nvidia october oracle outlook \
    pakistan paris paypal perl peru php poland polish portugal portuguese postgres postgresql \
    punjabi python quora react reddit redis roman rome ruby russia russian rust samsung saturday \
    saturn scala scotland seattle september shanghai singapore skype snapchat spain spanish \
    spotify sql sqlite sunday sweden swedish swift swiss switzerland sydney taiwan tamil telugu \
    tesla texas thailand thursday tokyo toronto tuesday turkey turkish twitter typescript uber \
    ubuntu uk ukraine uranus urdu usa venus vietnam vietnamese wednesday whatsapp wikipedia \
    windows youtube";

const NEGATIONS: &str = "\
    not no never none nobody nothing nowhere neither nor without non hardly barely except unless";

const SYNONYMS: &str = "\
    buy/purchase begin/start/commence help/assist method/technique tip/advice \
    reduce/decrease/diminish kid/child/children car/automobile film/movie big/large hard/difficult \
    provide/offer/furnish/supply use/employ/utilize/utilise allow/enable/permit improve/enhance \
    fix/repair/mend meaning/definition important/crucial/vital/essential delete/erase \
    college/university doctor/physician happy/glad phone/cellphone show/display \
    answer/response/reply quick/fast/rapid useful/advantageous/beneficial obtain/acquire \
    require/necessitate choose/select/pick modify/alter include/encompass build/construct \
    share/distribute specify/indicate/define locate/discover fetch/retrieve keep/retain \
    finish/complete/conclude simple/easy/straightforward main/primary/principal \
    photo/photograph/picture/image lawyer/attorney error/mistake weird/strange rich/wealthy \
    smart/intelligent/clever trip/journey garbage/trash/rubbish holiday/vacation advantage/benefit \
    drawback/disadvantage topic/subject sick/ill administration/management safe/secure \
    determine/ascertain purpose/aim goal/objective \
    convert/transform generate/produce add/append type/variety run/execute perform/conduct \
    related/corresponding stage/phase evaluate/assess guide/tutorial remove/eliminate \
    explain/clarify ensure/guarantee collect/gather occur/happen country/nation illness/disease \
    author/writer baby/infant speak/talk cost/price teenager/teen/adolescent scared/afraid \
    sad/unhappy exam/examination math/maths/mathematics ad/advert/advertisement tv/television \
    bike/bicycle app/application info/information lab/laboratory mom/mum/mother dad/father \
    plane/airplane/aeroplane taxi/cab internet/web couch/sofa salary/wage seek/search";

const OPPOSITES: &str = "\
    able/unable above/below absent/present accept/refuse accept/reject acid/base add/delete \
    add/remove add/subtract advantage/disadvantage advantages/disadvantages after/before \
    agree/disagree alive/dead all/none all/some allow/block allow/deny allow/forbid allow/prevent \
    always/never ancient/modern appear/disappear apply/withdraw arrive/depart arrive/leave \
    asc/desc ascending/descending asynchronous/synchronous attach/detach attack/defend aunt/uncle \
    back/front backward/forward bad/good before/during begin/end begin/finish benefit/risk \
    benefits/drawbacks benefits/risks best/worst better/worse big/small bigger/smaller \
    biggest/smallest birth/death black/white born/died borrow/lend bottom/top boy/girl \
    boyfriend/girlfriend bring/take brother/sister build/destroy buy/sell cat/dog cause/cure \
    cause/prevent cheap/expensive cheapest/costliest child/parent clean/dirty \
    clockwise/counterclockwise close/open cold/hot cold/warm compress/decompress \
    connect/disconnect cons/pros create/delete create/destroy dangerous/safe dark/light \
    daughter/son day/night decode/encode decrease/increase decrypt/encrypt deep/shallow \
    defeat/victory delete/restore deposit/withdraw difference/similarity differences/similarities \
    different/same difficult/easy difficult/simple disable/enable divide/multiply down/up \
    download/upload dry/wet earliest/latest early/late east/west eastern/western easy/hard \
    electron/proton empty/full end/start enemy/friend enter/exit even/odd exclude/include \
    expense/income export/import extrovert/introvert fail/pass fail/succeed failure/success \
    fake/real fall/rise false/true far/near fast/slow faster/slower father/mother female/male \
    few/many fewer/more find/lose finish/start fire/hire first/last forget/remember former/latter \
    freeze/melt future/past gain/lose gain/loss gain/reduce give/receive give/take global/local \
    happy/sad hard/soft hate/like hate/love he/she heavy/light her/him her/his hide/show high/low \
    higher/lower highest/lowest horizontal/vertical husband/wife illegal/legal improve/worsen \
    inner/outer input/output inside/outside install/uninstall invisible/visible join/leave \
    junior/senior king/queen large/small larger/smaller largest/smallest learn/teach least/most \
    left/right less/more lie/truth local/remote lock/unlock long/short longer/shorter \
    longest/shortest loose/tight lose/win loss/profit lost/won lower/raise major/minor man/woman \
    mandatory/optional married/single max/min maximise/minimise maximize/minimize maximum/minimum \
    meat/vegan men/women mental/physical minus/plus mute/unmute narrow/wide negative/positive \
    new/old newest/oldest next/previous north/south northern/southern off/on offline/online \
    old/young older/younger oldest/youngest over/under oxidation/reduction parallel/serial \
    permanent/temporary plural/singular poor/rich pop/push private/public pull/push purchase/sell \
    read/write receive/send receiver/sender rough/smooth save/spend short/tall start/stop \
    strength/weakness strengths/weaknesses strong/weak stronger/weaker student/teacher \
    subscribe/unsubscribe summer/winter sunrise/sunset thick/thin today/tomorrow today/yesterday \
    tomorrow/yesterday unzip/zip with/without";

const CONNECTIVES: &str = "\
    to from into than over before after by of against versus vs for under above below causes cause \
    beats beat in on";

const STOPWORDS: &str = "\
    a an the is are was were be been being am do does did done have has had having will would \
    shall should can could may might must i you he she it we they me him her us them my your his \
    its our their mine yours this that these those there here what which who whom whose when where \
    why how and or but if then so because as of at by for with about to from in into on onto out \
    over under up down off than too very just also any some such own s t please tell explain \
    describe give show want need know one ones get let really actually ever much many someone \
    anyone something anything every each all both other while during between through like exactly \
    kind way ways best good possible thing things";
