//! Enumerations whose variants have names outside the program.

/// Declares an enumeration once: its variants, `ALL` of them, and the `name` of each in headers,
/// metrics, records and reports.
macro_rules! names {
    ($(#[$meta:meta])* $vis:vis enum $Enum:ident {
        $($(#[$doc:meta])* $Variant:ident = $name:literal,)*
    }) => {
        $(#[$meta])*
        $vis enum $Enum {
            $($(#[$doc])* $Variant,)*
        }

        impl $Enum {
            /// All of them.
            $vis const ALL: [$Enum; [$($name),*].len()] = [$($Enum::$Variant),*];

            /// The name outside the program.
            $vis fn name(self) -> &'static str {
                match self {
                    $($Enum::$Variant => $name,)*
                }
            }
        }
    };
}

pub(crate) use names;
