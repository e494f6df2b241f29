"""Advice on a prompt: which words the model does not know, and what to write instead.

A person may write anything, but a model that was trained on few things knows few words. The
suggestions come from a small list of words with near meanings, which we made by hand: for "dog" the
nearest known word is "cat".
"""

import difflib
import re
from collections.abc import Sequence

from sdkit import postcards
from sdkit.diffusion import prompts

# For each thing, colour, place and time of the postcards: words that come near it in meaning.
NEAR_SCENES = {
    "cat": "animal animals bear beast bird birds bunny camel cow creature deer dinosaur dog dogs "
    "dragon duck elephant fish fox giraffe goat hamster horse horses leopard lion monkey mouse owl "
    "panda penguin pet pets pig pikachu pokemon pony poodle puppy rabbit rat retriever "
    "sheep squirrel terrier tiger unicorn wolf zebra",
    "house": "barn building bungalow cabin castle chalet church farm farmhouse home hotel hut "
    "mosque palace pyramid school shop synagogue temple villa",
    "boat": "canoe catamaran ferry galleon kayak raft submarine titanic vessel yacht",
    "tree": "apple bush christmas fir forest fruit jungle leaf leaves oak palm pine plant plants "
    "willow wood woods",
    "lighthouse": "beacon chimney eiffel tower",
    "balloon": "aeroplane aircraft airplane airship ball basketball drone football helicopter kite "
    "plane rocket satellite spaceship spacecraft ufo zeppelin",
    "flower": "blossom bouquet cactus daffodil daisy dandelion lily orchid poppy rose roses "
    "sunflower sunflowers",
    "car": "audi bicycle bike bmw bus cab ferrari jeep lamborghini lorry mercedes motorbike "
    "motorcycle porsche robot scooter tank taxi tesla tractor train tram truck vehicle volkswagen "
    "vw wagon",
    "tent": "camp camping circus igloo marquee teepee tipi wigwam yurt",
    "windmill": "fan propeller turbine wind",
    "mushroom": "fungi fungus pizza",
    "umbrella": "rain rainy shade storm thunderstorm",
    "red": "burgundy crimson maroon ruby scarlet",
    "orange": "apricot bronze brown copper ginger",
    "yellow": "beige gold lemon",
    "green": "emerald lime olive",
    "blue": "azure cyan navy turquoise",
    "purple": "black lavender lilac violet",
    "pink": "fuchsia magenta rosy",
    "white": "cream gray grey ivory silver",
    "sea": "aquarium atlantic bay coast harbor harbour island lake pacific pond pool port river "
    "shore tropical underwater waterfall waves",
    "meadow": "country countryside garden hill hills lawn park prairie spring",
    "desert": "africa arabia australia egypt mars safari sahara savanna",
    "snow": "antarctica arctic ice icy north polar ski skiing snowball snowman",
    "mountains": "canyon cliff everest himalaya mountain peak rock rocks rocky valley volcano",
    "city": "berlin downtown london market metropolis paris road rome skyscraper skyscrapers "
    "square tokyo village york",
    "morning": "breakfast",
    "day": "afternoon bright summer sun sunlight sunshine",
    "sunset": "autumn dramatic romantic twilight",
    "night": "cosmos dark darkness galaxy halloween midnight moon planet space spooky star "
    "universe",
}
# The same in German, French and Spanish: the model reads English only. Words that English has, too,
# such as the French "rose", are left out.
OTHER_LANGUAGES = {
    "cat": "caballo chat cheval chien chienne gata gato hund hunde kater katze katzen kätzchen "
    "oiseau perro pferd pájaro tier tiere vogel",
    "house": "burg casa castillo château haus häuser iglesia kirche maison schloss schule église",
    "boat": "barco bateau boot schiff segelboot",
    "tree": "arbre baum bosque bäume forêt tannenbaum wald weihnachtsbaum árbol",
    "lighthouse": "faro leuchtturm phare",
    "balloon": "avion avión ballon flugzeug globo heißluftballon luftballon rakete",
    "flower": "blume blumen blüte fleur flor sonnenblume tulpe",
    "car": "auto autos carro coche fahrrad voiture zug",
    "tent": "tente tienda zelt",
    "windmill": "molino moulin mühle windmühle",
    "mushroom": "champignon hongo pilz pilze seta",
    "umbrella": "paraguas parapluie regenschirm schirm",
    "red": "roja rojo rot rote roter rotes rouge",
    "yellow": "amarilla amarillo gelb gelbe gelber gelbes jaune",
    "green": "grün grüne grüner grünes verde vert verte",
    "blue": "azul blau blaue blauer blaues bleu bleue",
    "purple": "lila morada morado violett",
    "pink": "rosa",
    "white": "blanc blanca blanche blanco weiß weiße weißer weißes",
    "sea": "küste mar meer mer plage playa strand",
    "meadow": "garten jardin jardín prado pré wiese",
    "desert": "desierto désert wüste",
    "snow": "neige nieve schnee",
    "mountains": "berg berge gebirge montagne montagnes montaña montañas",
    "city": "ciudad dorf stadt straße ville",
    "morning": "amanecer aube morgen sonnenaufgang",
    "sunset": "atardecer sonnenuntergang",
    "night": "nacht noche nuit",
}
# For a name of a style: painters and styles that come near it.
NEAR_STYLES = {
    "van gogh": "cezanne cézanne expressionism expressionist fauvism gauguin gogg goghh gough "
    "kirchner matisse munch neo-impressionism pointillism seurat signac vangogh",
    "ukiyo-e": "anime comic china chinese hiroshige's hokusai's manga samurai sharaku utamaro",
    "monet": "cassatt manet pastel sorolla turner watercolor watercolour",
    "oil painting": "baroque bosch bruegel caravaggio dali dürer durer goya leonardo michelangelo "
    "mona raphael rembrandt renaissance rubens titian velazquez velázquez vermeer vinci",
    "a photo": "camera photography photoshop polaroid selfie",
}
# Words of the postcards' captions that name nothing, so a prompt must have others to be drawn.
NO_NAMES = set("air among early field hot side under".split())
LISTED = 20  # known words to suggest if there are no better ones


def advice(
    prompt: str, known: set[str] | None, task: str = "", styles: Sequence[str] = ()
) -> str | None:
    """A sentence or two about the words of `prompt` that are not in `known`, and what to write.

    known : the words that the model saw in training, or None if it saw nearly all words.
    task : "draw" for a picture from a sentence, "style" for a photograph that is painted.
    styles : the styles that the model was trained on.

    None if nothing needs to be said.
    """
    if known is None:
        return None
    if not prompts.words(prompt):
        return f"{_no_words(prompt)} {can(known, task, styles)}"
    unknown = [w for w in prompts.split_prompt(prompt, known)[1] if w not in prompts.STOP_WORDS]
    if not unknown:
        return None
    return (
        f"This model did not see {', '.join(map(repr, unknown))} in training and may ignore "
        f"{'it' if len(unknown) == 1 else 'them'}. "
        + (_tips(unknown, known, task) or can(known, task, styles))
    )


def refusal(
    prompt: str, known: set[str] | None, task: str = "", styles: Sequence[str] = ()
) -> str | None:
    """Why the model cannot paint `prompt`, and what to write; None if it can.

    The arguments are those of `advice`. For a model that knows postcards, a prompt for a drawing
    must name a part of one. A prompt for a style must have a known word.
    """
    if not prompt.strip() and known is None:
        return f"{_no_words(prompt)} Write what to paint."
    if known is None:
        return None
    said = [word for word in prompts.words(prompt) if word not in prompts.STOP_WORDS]
    names = _drawable(known) if task == "draw" else known
    if said and not names:
        return None
    if any(prompts.split_prompt(word, names)[0] or form_of(word, names) for word in said):
        return None
    drawing = task == "draw" and names
    others = {word for near in OTHER_LANGUAGES.values() for word in near.split()}
    foreign = drawing and any(word in others or not word.isascii() for word in said)
    example = " For instance: a red house by the sea at night." if drawing else ""
    if not said:
        return f"{_no_words(prompt)} {can(known, task, styles)}{example}"
    tips = _tips(said, known, task)
    return (
        f"This model cannot paint {prompt!r:.80}. {'It reads English only. ' * bool(foreign)}"
        f"{tips}{' ' * bool(tips)}"
        f"{can(known, task, styles)}{example}"
    )


def can(known: set[str], task: str = "", styles: Sequence[str] = ()) -> str:
    """What a model that knows these words can paint. The arguments are those of `advice`."""
    if task == "draw" and _drawable(known):
        grounds, times = (
            [postcards.PHRASES[word][0] for word in words if word in known]
            for words in (postcards.GROUNDS, postcards.TIMES)
        )
        things, colours = (
            [word for word in words if word in known]
            for words in (postcards.THINGS, postcards.COLOURS)
        )
        return (
            f"It can draw: {', '.join(things)}. Colours: {', '.join(colours)}. "
            f"Places: {', '.join(grounds)}. Times: {', '.join(times)}."
        )
    if styles and task != "draw":
        return f"Its styles: {', '.join(styles)}."
    listed = sorted(known - prompts.STOP_WORDS, key=lambda word: (len(word) < 3, word))
    return f"Some words that it knows: {', '.join(listed[:LISTED])}."


def suggest(word: str, known: set[str], task: str = "") -> str | None:
    """The known word or name that comes nearest to `word`: a form of it, or one near in meaning.

    A photograph is painted in a style, so for the task "style" a scene is no suggestion.
    """
    names = (task == "draw" and _drawable(known)) or known - prompts.STOP_WORDS
    for near in (NEAR_STYLES, *(() if task == "style" else (NEAR_SCENES, OTHER_LANGUAGES))):
        for name, others in near.items():
            if word in others.split() and all(part in known for part in prompts.words(name)):
                return name
    return form_of(word, names)


def form_of(word: str, known: set[str]) -> str | None:
    """The known word for a plural or a typing error: "boats", "huose", "baloon"; or None.

    A typing error must begin with the right letter, in a word of five letters or more. Otherwise
    "coat" would be an error for "boat", and "knight" one for "night".
    """
    plural = re.fullmatch(r"(\w{3,}?)(?:e?s|'s)", word)
    if plural and (single := {plural[1], plural[1] + "e"} & known):
        return min(single)
    for other in sorted(known):
        if len(other) >= 5 and other[0] == word[0]:
            alike = difflib.SequenceMatcher(None, word, other).ratio()
            if sorted(word) == sorted(other) or alike >= 0.85:
                return other
    return None


def _tips(unknown: list[str], known: set[str], task: str) -> str:
    """Suggestions for these words, where there are some; or ""."""
    tips = [(word, name) for word in unknown if (name := suggest(word, known, task))]
    return " ".join(f"For {word!r}, try {name!r}." for word, name in tips)


def _drawable(known: set[str]) -> set[str]:
    """The known words that name a part of a postcard. Empty for a model that knows no thing."""
    if not known & set(postcards.THINGS):
        return set()
    return (set(postcards.words()) & known) - prompts.STOP_WORDS - NO_NAMES


def _no_words(prompt: str) -> str:
    """The sentence for a prompt without a word."""
    return (
        "The prompt has no word: this model reads no emoji and no signs."
        if prompt.strip()
        else "The prompt is empty."
    )
