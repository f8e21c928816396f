//! Prompts in other languages keep what only a reader of them could leave out.

use super::read;

/// Each with what differs from it by a capital, an order or a small word, and is nothing that Easel may decide.
const PROMPTS: [(&str, &str, &str); 25] = [
    ("Spanish in words that English has", "un animal rural, un actor grave", "un Animal rural, un actor grave"),
    ("German", "eine rote Katze auf dem Sofa", "eine rote katze auf dem sofa"),
    ("German with English words", "die Sofa, die Frau mit Hut", "Sofa, die Frau mit Hut"),
    ("French", "un chat sans chapeau sur la table", "un chat chapeau sur la table"),
    ("Spanish", "un gato negro, un perro blanco", "un perro blanco, un gato negro"),
    ("Italian", "un gatto a sinistra di un cane", "un gatto sinistra di un cane"),
    ("Portuguese", "uma casa a venda na praia", "uma casa venda na praia"),
    ("Dutch", "een rode bank in de kamer", "een rode Bank in de kamer"),
    ("Swedish", "en röd soffa och ett bord", "en röd soffa, och ett bord"),
    ("Polish", "czerwona kanapa i stół bez kota", "czerwona kanapa i stół kota"),
    ("Czech", "červená pohovka, bílý stůl", "bílý stůl, červená pohovka"),
    ("Turkish", "IŞIK altında kırmızı koltuk", "ışık altında kırmızı koltuk"),
    ("Finnish", "punainen sohva on pöydän vieressä", "punainen sohva pöydän vieressä"),
    ("Hungarian", "a piros kanapé az asztal mellett", "piros kanapé asztal mellett"),
    ("Romanian", "o canapea roșie fără perne", "o canapea roșie perne"),
    ("Indonesian", "kucing merah di atas meja", "Kucing merah di atas meja"),
    ("Vietnamese", "một con mèo đỏ trên bàn", "con mèo đỏ trên bàn"),
    ("Russian", "Лев на диване", "лев на диване"),
    ("Greek", "μια κόκκινη γάτα, ένας σκύλος", "ένας σκύλος, μια κόκκινη γάτα"),
    ("Arabic", "قطة حمراء، كلب أبيض", "كلب أبيض، قطة حمراء"),
    ("Hebrew", "חתול אדום, כלב לבן", "כלב לבן, חתול אדום"),
    ("Hindi", "लाल बिल्ली, सफ़ेद कुत्ता", "सफ़ेद कुत्ता, लाल बिल्ली"),
    ("Thai", "แมวสีแดง สุนัขสีขาว", "สุนัขสีขาว แมวสีแดง"),
    ("Chinese", "红色的猫，白色的狗", "白色的猫，红色的狗"),
    ("Japanese", "赤い猫と白い犬", "白い猫と赤い犬"),
];

#[test]
fn what_is_no_english_is_only_the_same_as_itself() {
    for (language, prompt, other) in PROMPTS {
        assert!(!read(prompt).is_english(), "{language}");
        assert_ne!(read(prompt).canonical_bytes(), read(other).canonical_bytes(), "{language}");
        let lists = crate::WordLists::builtin();
        assert!(!crate::compare(&read(prompt), &read(other), &lists).is_same_picture(), "{language}");
    }
}

#[test]
fn blanks_quotation_marks_and_the_last_point_are_nobodys_language() {
    for (_, prompt, _) in PROMPTS {
        let spaced = format!("  {}. ", prompt.replace(' ', "  "));
        assert_eq!(read(prompt).canonical_bytes(), read(&spaced).canonical_bytes(), "{prompt}");
    }
    let (low, high) = ("ein Schild „Offen“ an der Tür", "ein Schild \"Offen\" an der Tür");
    assert_eq!(read(low).canonical_bytes(), read(high).canonical_bytes());
    assert_ne!(
        read("ein Schild \"a  b\" an der Tür").canonical_bytes(),
        read("ein Schild \"a b\" an der Tür").canonical_bytes()
    );
}

#[test]
fn english_with_names_and_foreign_dishes_is_english() {
    for prompt in [
        "a painting in the style of Leonardo da Vinci",
        "the Taj Mahal at sunrise with a crowd in front",
        "a plate of spaghetti alla puttanesca on the table",
        "a café in Zürich with two tables",
        "El Greco painting of a man",
        "five tablws",
        "red sofa",
    ] {
        assert!(read(prompt).is_english(), "{prompt}");
    }
}
