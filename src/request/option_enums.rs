//! The closed sets of words in a request, spelled as OpenAI spells them. What a word does is not said here.

use std::str::FromStr;

/// A closed set of words, as the wire spells them.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every member, in the order error messages list them.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The word on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }
        }

        impl FromStr for $name {
            type Err = ();
            fn from_str(text: &str) -> Result<$name, ()> {
                match text { $($word => Ok($name::$variant),)+ _ => Err(()) }
            }
        }
    };
}

words! {
    /// How much effort a picture gets. `auto` is expressed by absence.
    Quality {
        /// GPT image models' cheapest.
        Low = "low",
        /// GPT image models' middle.
        Medium = "medium",
        /// GPT image models' best of the classic three.
        High = "high",
        /// Added with gpt-image-2.5.
        Xhigh = "xhigh",
        /// Added with gpt-image-2.5.
        Max = "max",
        /// DALL-E's ordinary quality.
        Standard = "standard",
        /// DALL-E 3's better quality.
        Hd = "hd",
    }
}

words! {
    /// What is behind the subject.
    Background {
        /// An alpha channel.
        Transparent = "transparent",
        /// No alpha channel.
        Opaque = "opaque",
    }
}

words! {
    /// How strict the provider's own content filter is.
    Moderation {
        /// The provider's less restrictive filter.
        Low = "low",
    }
}

words! {
    /// DALL-E 3's style.
    Style {
        /// Hyper-real and dramatic.
        Vivid = "vivid",
        /// Natural.
        Natural = "natural",
    }
}

words! {
    /// gpt-image-2.6's scene complexity.
    Complexity {
        /// Few elements.
        Low = "low",
        /// Some elements.
        Medium = "medium",
        /// The model's default.
        High = "high",
    }
}

words! {
    /// How the client wants its pictures.
    ResponseFormat {
        /// A signed link to Easel's own copy.
        Url = "url",
        /// Base64 in the answer.
        B64Json = "b64_json",
    }
}

words! {
    /// How closely an edit keeps to its input pictures.
    Fidelity {
        /// Faces and marks are kept.
        High = "high",
        /// The model's ordinary effort.
        Low = "low",
    }
}
words! {
    /// What a client says of a picture it was given.
    Verdict {
        /// It is good.
        Accepted = "accepted",
        /// It is not.
        Rejected = "rejected",
    }
}
