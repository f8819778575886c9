//! The words, sorted by what they do in a demand.
//!
//! Small letters; `*` at the end lets a word go on. Words of other scripts stand without their
//! first letter where that may be a capital.

/// A set of the bits below.
pub(super) type Class = u64;

/// To drop something.
pub(super) const OVERRIDE: Class = 1;
/// That came before.
pub(super) const PRIOR: Class = 1 << 1;
/// What a model is told.
pub(super) const NOUN: Class = 1 << 2;
/// The same, in words that machines have too.
pub(super) const RULES_NOUN: Class = 1 << 3;
/// The model's own.
pub(super) const OWN: Class = 1 << 4;
/// All that stands above.
pub(super) const ABOVE: Class = 1 << 5;
/// To answer so.
pub(super) const REPLY: Class = 1 << 6;
/// To show.
pub(super) const REVEAL: Class = 1 << 7;
/// A model's instructions, by name.
pub(super) const SYSTEM: Class = 1 << 8;
/// To want.
pub(super) const ASK: Class = 1 << 9;
/// A password of somebody.
pub(super) const PASS: Class = 1 << 10;
/// What should not leave.
pub(super) const SECRET: Class = 1 << 11;
/// To do something to the outside.
pub(super) const ACT: Class = 1 << 12;
/// Where it would go.
pub(super) const EXFIL: Class = 1 << 13;
/// Who claims to be above the model.
pub(super) const AUTHORITY: Class = 1 << 14;
/// To insist.
pub(super) const DEMAND: Class = 1 << 15;
/// Behind the user's back.
pub(super) const HIDE: Class = 1 << 16;
/// Without a question.
pub(super) const HIDE_WEAK: Class = 1 << 17;
/// Marks of a chat template.
pub(super) const TOKEN: Class = 1 << 18;
/// Marks that look like some.
pub(super) const TOKEN_WEAK: Class = 1 << 19;
/// The model's task, as seen by somebody else.
pub(super) const TASK: Class = 1 << 20;
/// Before the rest.
pub(super) const FIRST: Class = 1 << 21;
/// To be somebody.
pub(super) const ROLE: Class = 1 << 22;
/// Without what binds.
pub(super) const FREE: Class = 1 << 23;
/// A model, and what it says.
pub(super) const AI: Class = 1 << 24;
/// As above, in other languages.
pub(super) const LOCAL_OVERRIDE: Class = 1 << 25;
pub(super) const LOCAL_PRIOR: Class = 1 << 26;
pub(super) const LOCAL_NOUN: Class = 1 << 27;
pub(super) const LOCAL_PASS: Class = 1 << 28;
pub(super) const LOCAL_ASK: Class = 1 << 29;
/// To drop something, said to somebody.
pub(super) const IGNORE: Class = 1 << 30;
/// All of them.
pub(super) const ALL: Class = 1 << 31;
/// To work something in.
pub(super) const WEAVE: Class = 1 << 32;
/// What the model says.
pub(super) const ANSWER: Class = 1 << 33;
/// What is not true, or sells.
pub(super) const DECEIT: Class = 1 << 34;
/// Code that is handed over.
pub(super) const SNIPPET: Class = 1 << 35;
/// What the model writes of code.
pub(super) const SOLUTION: Class = 1 << 36;
/// Calls that reach outside of a program, or never end.
pub(super) const DANGER: Class = 1 << 37;
/// Content that harms.
pub(super) const HATE: Class = 1 << 38;
/// Its form.
pub(super) const PIECE: Class = 1 << 39;
/// What a model may know of its user.
pub(super) const USER_DATA: Class = 1 << 40;
/// A note to oneself, as a disguise.
pub(super) const TODO: Class = 1 << 41;
/// To do something in the user's name.
pub(super) const DEED: Class = 1 << 42;
/// Where it goes.
pub(super) const TARGET: Class = 1 << 43;
/// What a model without rules would do, and others do too.
pub(super) const LOOSE: Class = 1 << 44;
/// To be somebody, in words that stories have.
pub(super) const PLAY: Class = 1 << 45;
/// What a model has, and others have too.
pub(super) const CHAT: Class = 1 << 46;

/// The end of a sentence.
pub(super) const BREAK: Class = 1 << 47;

/// What makes a passage worth reading.
pub(super) const ANCHORS: Class = OVERRIDE
    | SYSTEM
    | PASS
    | AUTHORITY
    | HIDE
    | HIDE_WEAK
    | TOKEN
    | TOKEN_WEAK
    | TASK
    | FIRST
    | FREE
    | EXFIL
    | ANSWER
    | SNIPPET
    | HATE
    | USER_DATA
    | TODO
    | TARGET
    | LOCAL_OVERRIDE
    | LOCAL_PASS;

/// Classes and their words, which `;` separates.
pub(super) const WORDS: &[(Class, &str)] = &[
    (BREAK, ". ;! ;? "),
    (OVERRIDE, "ignore;ignoring;disregard*;forget;forgetting;forgotten;overlook;override"),
    (OVERRIDE, "do not follow;don't follow;stop following;pay no attention;neglect;discard"),
    (OVERRIDE, "do not listen;don't listen;do not obey;erase;supersede*;nullif*;bypass*"),
    (OVERRIDE, "no longer bound by;no longer follow;abandon;wipe;cancel all;revoke all"),
    (PRIOR, "previous*;prior;above;preceding;earlier;before;initial;original;foregoing;given"),
    (PRIOR, "until now;so far;up to now;existing;past;former;all other;any other"),
    (NOUN, "instruction*;iunstruction*;instuction*;directive*;prompt*;guideline*;orders"),
    (NOUN, "training;programming;directions;commands;guidance;task;tasks;safeguards"),
    (NOUN, "information;messages"),
    (RULES_NOUN, "rules;constraints;context;policies;policy;restrictions;protocols"),
    (RULES_NOUN, "conversation;limitations;ethics;ethical;everything;filters;safety"),
    (OWN, "your;you were;you have;you've;you had;you got;you received;you learned"),
    (OWN, "you are given;you know;told you;tell you;given to you;gave you;you follow"),
    (ABOVE, "the above;all above;everything above;all of the above;everything before"),
    (ABOVE, "this text;all previous text;the previous text;the rest of;the webpage"),
    (ABOVE, "the document;the email;the article;the resume;the table;the function;the paper"),
    (ABOVE, "the user's;the question"),
    (REPLY, "and say;and state;and tell;and write;and answer;and respond;and reply;and repeat"),
    (REPLY, "and declare;and instead;just say;just print;only say;just respond;and print"),
    (REPLY, "and output;and give me;instead say;instead, say;and simply;and show me"),
    (REVEAL, "reveal*;print;repeat;output;show;display;tell me;what is;what are;what were"),
    (REVEAL, "list;leak;expose;dump;give me;recite;disclose;respond with;write out;spell out"),
    (REVEAL, "what's;summarize;translate;quote;copy;echo;share;provide;say;send me;show me"),
    (REVEAL, "start with;begin with;what was;confirm"),
    (SYSTEM, "system prompt*;your system message;your initial prompt"),
    (SYSTEM, "your initial instructions;your instructions;your prompt;starting instructions"),
    (SYSTEM, "hidden prompt;hidden instructions;your system prompt;prompt above"),
    (SYSTEM, "instructions above;above prompt;your guidelines;your initials instructions"),
    (SYSTEM, "instructions you have been given;instructions you were given"),
    (SYSTEM, "your original instructions;your original prompt;your full prompt"),
    (SYSTEM, "your entire prompt;system instructions;your rules;your hidden"),
    (SYSTEM, "your previous instructions;full prompt;instructions so far;your underlying"),
    (SYSTEM, "your system instructions;your pre-prompt;your configuration"),
    (SYSTEM, "system configuration;your training data;not supposed to tell me"),
    (SYSTEM, "instructions have you been given;prior conversation;your custom instructions"),
    (ASK, "need;write;want;what would;let me know;hand over;poem about;acrostic"),
    (PASS, "your password;the password;your passphrase;the passphrase;your secret key"),
    (PASS, "the secret key;your api key*;the secret password;password for our system"),
    (PASS, "our password;your credentials;your secrets;the secret word;your secret"),
    (PASS, "her password;his password"),
    (SECRET, "password*;passport;credit card;bank account;api key*;credentials;secret*"),
    (SECRET, "security code;private key*;conversation;chat history;user data;personal data"),
    (ACT, "send;email;forward;transfer;post;upload;invite;delete;create;execute;run;add"),
    (ACT, "include;insert;download;install;make;pay;buy;reserve;book"),
    (EXFIL, "append it to the url;in the url;as a query parameter;as a url parameter"),
    (EXFIL, "encode it in;image with the url;markdown image;render this image"),
    (EXFIL, "as an image link;![exfil*"),
    (AUTHORITY, "i am your developer;i'm your developer;i am your creator;i'm your creator"),
    (AUTHORITY, "as your developer;as your boss;as your creator;as your administrator"),
    (AUTHORITY, "as your owner;i am your boss;i'm your boss;i am the administrator"),
    (AUTHORITY, "i'm the administrator;i am god;i am the maintainer;i'm the maintainer"),
    (AUTHORITY, "administrator override;admin override;system override;security override"),
    (AUTHORITY, "override mode;developer override;data override;openai employee"),
    (AUTHORITY, "employee of openai;i work for openai;i work for anthropic;approved by openai"),
    (AUTHORITY, "authorized by openai;i am an admin;i'm an admin;i am the developer"),
    (AUTHORITY, "i am your supervisor;your new instructions are;new instructions:"),
    (AUTHORITY, "new system prompt;message from the developer;message from the administrator"),
    (AUTHORITY, "system mode activated;debug mode enabled;maintenance mode activated"),
    (AUTHORITY, "i am the president;i'm the president"),
    (DEMAND, "you must;you have to;you need to;i need you to;you will;must obey;obey;shall"),
    (DEMAND, "immediately;comply;required to;i order you;i command you;make sure"),
    (HIDE, "do not tell the user;don't tell the user;do not inform the user"),
    (HIDE, "don't inform the user;without telling the user;without informing the user"),
    (HIDE, "without the user's knowledge;do not mention this to the user"),
    (HIDE, "do not let the user know;don't let the user know;without the user knowing"),
    (HIDE, "without notifying the user;hide this from the user;do not reveal this to the user"),
    (HIDE, "never tell the user;keep this hidden from the user"),
    (HIDE_WEAK, "without asking me;without asking the user;without telling"),
    (HIDE_WEAK, "without confirmation from;do not ask for confirmation"),
    (HIDE_WEAK, "don't ask for confirmation;without my permission;do not mention this"),
    (HIDE_WEAK, "don't mention this;do not tell anyone;delete the sent email"),
    (HIDE_WEAK, "don't tell anyone;keep this between us;no need to tell"),
    (HIDE_WEAK, "without asking for permission"),
    (TOKEN, "<|im_start|>;<|im_end|>;<|system|>;<|start_header_id|>;<|eot_id|>;[/inst]"),
    (TOKEN, "<<sys>>;<</sys>>;### system:;### instruction:;[system](#;<|endoftext|>"),
    (TOKEN, "<start_of_turn>;[system note;(system note;{system:;[system message]"),
    (TOKEN, "<system-reminder>;<|assistant|>;<|user|>;end of system prompt;[end system"),
    (TOKEN, "<system_prompt>"),
    (TOKEN_WEAK, "[inst];<system>;</system>;<information>;<important>;system note:;[system]"),
    (TOKEN_WEAK, "(system_message);<tool_result>;<function_calls>;<tool_call>;<tool_response>"),
    (TOKEN_WEAK, "<admin>;%%%end"),
    (TASK, "solve the task;before you can solve"),
    (TASK, "complete the task i gave;important message to you;dear ai;attention ai"),
    (TASK, "attention all ai;if you are an ai;if you are a language model;if you're an ai"),
    (TASK, "note to ai;message to the ai;hey ai;if you are an llm;ai assistants reading this"),
    (TASK, "when an ai reads;instructions for the ai"),
    (FIRST, "do the following first;please do the following first;important message from me"),
    (IGNORE, "ignore;disregard*;forget;do not follow;don't follow;stop following;overlook"),
    (ALL, "all;any;every;all the;any of the;all of your;whatever"),
    (WEAVE, "add;integrate;modify;include;insert;incorporate;append;embed*;enhance;augment"),
    (WEAVE, "replace;encode;translate;use;provide;express;render;shift;group;scramble"),
    (WEAVE, "rearrange;introduce;mention;suggest;apply;substitute;craft;jumble;invert;convert"),
    (WEAVE, "write;deliver;reverse;structure;compose;formulate;leverage;employ;consider"),
    (WEAVE, "refine;implement;optimize;ensure;keep in mind;let the"),
    (ANSWER, "your response;your answer;your reply;your message;your responses;your answers"),
    (ANSWER, "your elucidation;your explanation;your summary;your next response"),
    (ANSWER, "your final answer"),
    (DECEIT, "fabricated;false claim;baseless;rumor*;non-existent;untrue;misleading;fake"),
    (DECEIT, "bank details;promot*;discount;sensational;shocking;you won't believe;brand;scam"),
    (DECEIT, "urgency;install an app;sponsor*;advertis*;click;example.com;download"),
    (DECEIT, "encouraging users;share their;inviting users;users to;misinformation"),
    (DECEIT, "transferring funds"),
    (SNIPPET, "code snippet;code excerpt;code section;code block;code segment;code fragment"),
    (SNIPPET, "piece of code;code portion;following code;subsequent code;below code"),
    (SOLUTION, "your code;your solution;your implementation;your algorithm;your codebase"),
    (SOLUTION, "your elucidation;your explanation;your answer;your response;your code's"),
    (SOLUTION, "your program"),
    (DANGER, "os.system;subprocess;socket.;requests.post;os.fork;while true:;pickle.loads"),
    (DANGER, "fernet;pynput;pyperclip;urllib;ftplib;smtplib;shutil;psutil;xsel;scapy;paramiko"),
    (DANGER, "ctypes;winreg;getpass;os.environ;requests.get;pexpect;exec(;pcap*"),
    (DANGER, "document.cookie;xmlhttprequest;os.remove;os.rename;platform.;multiprocessing"),
    (DANGER, "pty."),
    (HATE, "harmful;discriminatory;unfriendly;hateful;racist;sexist;toxic;derogatory"),
    (HATE, "negative sentence;offensive;insulting;defamatory;homophobic"),
    (PIECE, "sentence about;paragraph about;sentences about;statement about;comment about"),
    (PIECE, "joke about;text about;post about;message about;remark about"),
    (USER_DATA, "the user's initials;the user's birth*;user currently live;user live now"),
    (USER_DATA, "the user's favorite;the user's address;the user's phone*;the user's location"),
    (USER_DATA, "city of residence;'s birth date;'s date of birth;users in your database"),
    (USER_DATA, "'s home address;'s social security;'s phone number;'s bank account"),
    (USER_DATA, "'s account balance;the user's name;'s favorite color;user data you"),
    (USER_DATA, "print your database"),
    (TODO, "todo:;to-do:;action required:;action item:"),
    (DEED, "send;transfer;invite;forward;pay;say that;make a reservation;get me;visit;email"),
    (DEED, "post them;give me all;tell me;please email;please create;please delete"),
    (DEED, "concatenate;book;reserve;please send;refer the user;change the password;update my"),
    (TARGET, "to the account;to the website;to the following email;to my email address"),
    (TARGET, "to this address;to the following address;to the following account"),
    (TARGET, "subject and body;to the url;to this url;email address:;send a transaction to"),
    (TARGET, "as much money;follow the link;to the slack;visit www"),
    (FIRST, "note to automated;note to the automated;visible to llm*;visible to ai;only positive"),
    (
        FIRST,
        "hidden from humans;automated screening;automated analysis;automated review;ai reviewer*",
    ),
    (
        FIRST,
        "may not deviate;must not deviate;do not deviate;ignore all negative;invisible to humans",
    ),
    (FIRST, "if questioned;if asked how;focus only on;focus exclusively on;end of prompt"),
    (FIRST, "<instruction>;llm reviewer*;text for language models;<end of session>"),
    (REPLY, "simply respond with;respond only with;and report;only respond with;and only print"),
    (
        SYSTEM,
        "this entire conversation;my instructions are;told before this conversation;text above",
    ),
    (SYSTEM, "entire conversation;system prompt is"),
    (HATE, "one negative;a negative;hostile;demeaning"),
    (REVEAL, "need to see;continue the following;want to see"),
    (ROLE, "you are now;from now on;from now own;pretend*;you will act;you are going to"),
    (ROLE, "role play;roleplay*;play the role;you're now;respond as;answer as;reply as"),
    (ROLE, "immerse yourself;take on the role;assume the role;act like;you're going to"),
    (ROLE, "two responses;answer my prompts;you will respond"),
    (PLAY, "act as;acting as;in character;persona;simulat*;stands for;your name is;named"),
    (PLAY, "called;hypothetical;fictional;imagine;you are a;you are an;you will be"),
    (PLAY, "as a character;in this story;two different;both ways;i want you to"),
    (FREE, "no restrictions;without restrictions;unrestricted;uncensored;unfiltered;amoral"),
    (FREE, "no ethical;no moral;do anything now;can do anything;not bound by;freed from"),
    (FREE, "broken free;break free;jailbr*;without ethics;without limitations;no morals"),
    (FREE, "not care about;doesn't care about;don't care about;never refuse;cannot refuse"),
    (FREE, "can't refuse;without refusing;never decline;do not decline;no censorship"),
    (FREE, "zero restrictions;do not have to abide;not have to follow;no guidelines"),
    (FREE, "developer mode;dan mode;unfiltred;any moral;any ethical;content policy"),
    (FREE, "content policies;all restrictions;breaks ai rules;against rules;no prohibitions"),
    (FREE, "fully unlocked;never say no;cannot say no;can't say no;never apologize"),
    (LOOSE, "unethical;no rules;no limits;no filter*;any restrictions;free from"),
    (LOOSE, "no limitations;not refuse;no matter how;no matter what;immoral*;regardless of"),
    (LOOSE, "illegal;does not follow;ignores all;against the rules;any guidelines"),
    (LOOSE, "no boundaries;evil;profanity;content filter*;capable of anything;morals;morality"),
    (LOOSE, "legality;ethics;vulgar;explicit;nsfw;swear*;cuss*;insult*;offensive;do whatever"),
    (LOOSE, "any request;harmful;inappropriate;derogatory;bypass*;no warnings;disclaimers"),
    (LOOSE, "follow any;doesn't follow;not bound;limitless;hates"),
    (AI, "chatgpt;openai;as an ai;language model;gpt-3;gpt-4;gpt4;anthropic;i cannot fulfill"),
    (AI, "ai model;chatbot;my prompts;your prompts;llm;ai assistant;as dan;an ai"),
    (CHAT, "claude;bard;i'm sorry;i apologize;i can't;warnings;disclaimer;guidelines;dan"),
    (CHAT, "prompt;policies;my questions;question;responses;each response;the user;refuse"),
    // German, French, Spanish.
    (LOCAL_OVERRIDE, "ignorier*;vergiss;vergessen sie;missachte*;überschreib*;ignorez;ignorer"),
    (LOCAL_OVERRIDE, "oublie;oubliez;oublier;ne tenez pas compte;ne tiens pas compte;ignora"),
    (LOCAL_OVERRIDE, "ignore;ignorar;olvida;olvide;olvídate;haz caso omiso;no hagas caso"),
    (LOCAL_OVERRIDE, "négligez"),
    (LOCAL_PRIOR, "vorherig*;vorig*;bisherig*;obig*;oben stehend*;précédent*;antérieur*"),
    (LOCAL_PRIOR, "ci-dessus;anterior*;previas;previos;de arriba;lo anterior"),
    (LOCAL_NOUN, "anweisung*;instruktion*;befehle;vorgaben;consignes;directives;règles"),
    (LOCAL_NOUN, "instrucciones;indicaciones;reglas;órdenes;la página web;das obige"),
    // Portuguese, Italian, Dutch, Polish.
    (LOCAL_OVERRIDE, "esqueça;esquece;desconsider*;ignorem;dimentica*;ignorare;ignorate;negeer"),
    (LOCAL_OVERRIDE, "vergeet;zignoruj*;ignoruj*;zapomnij*;pomiń"),
    (LOCAL_PRIOR, "acima;precedent*;di cui sopra;qui sopra;vorige;eerdere;bovenstaande"),
    (LOCAL_PRIOR, "voorgaande;poprzedni*;wcześniejsz*;powyższ*"),
    (LOCAL_NOUN, "instruções;instru ções;regras;ordens;istruzioni;regole;instructies;opdrachten"),
    (LOCAL_NOUN, "aanwijzingen;instrukcj*;polece*;wytyczn*;zasady"),
    // Russian, Ukrainian, Turkish, Greek.
    (LOCAL_OVERRIDE, "гнорируй;гнорировать;абудь;не обращай;роигнорируй;гноруй;yoksay;yok say"),
    (LOCAL_OVERRIDE, "görmezden gel;unutun;unut ;dikkate alma;αγνόησ;γνοήστε;ξέχασε;ξεχάστε"),
    (LOCAL_PRIOR, "предыдущ;прежн;вышеуказан;вышеизлож;выше;попередн;önceki;yukarıdaki"),
    (LOCAL_PRIOR, "προηγούμεν;παραπάνω"),
    (LOCAL_NOUN, "инструкци;указани;правил;інструкц;talimat*;yönerge*;kuralları;οδηγίες"),
    // Arabic, Persian, Hebrew, Hindi, Bengali.
    (LOCAL_OVERRIDE, "تجاهل;تغاضى;تغاضَ;انسَ;انسى;انس ;نادیده;فراموش;התעלם;תתעלם;שכח;अनदेखा"),
    (LOCAL_OVERRIDE, "अनदेखी;नज़रअंदाज;नजरअंदाज;भूल जा;उपेक्षा;উপেক্ষা;ভুলে"),
    (LOCAL_PRIOR, "السابق;أعلاه;قبلي;قبلی;הקודמ;לעיל;पिछल;उपरोक्त;ऊपर;पूर्व;পূর্ববর্তী;উপরের"),
    (LOCAL_PRIOR, "আগের;উপরোক্ত"),
    (LOCAL_NOUN, "تعليمات;الأوامر;الإرشادات;القواعد;دستور;ההוראות;निर्देश;नियम;নির্দেশ"),
    // Chinese, Japanese, Korean.
    (LOCAL_OVERRIDE, "忽略;无视;忽視;無視;忘记;忘記;忘掉;不要理会;忘れ;무시;잊어;잊으"),
    (
        LOCAL_PRIOR,
        "之前;以上;上述;先前;前面;上面;以前の;前の;これまで;上記;이전;위의;앞의;지금까지;위 내용;所有的;すべての指示;모든",
    ),
    (LOCAL_NOUN, "指令;指示;命令;规则;規則;提示词;ルール;지시;명령;지침"),
    // Vietnamese, Indonesian, Filipino, Thai, Swahili.
    (LOCAL_OVERRIDE, "bỏ qua;phớt lờ;hãy quên;abaikan;lupakan;huwag pansinin;kalimutan"),
    (LOCAL_OVERRIDE, "balewalain;เพิกเฉย;อย่าไปสนใจ;ละเว้น;ไม่สนใจ;puuza;sahau"),
    (LOCAL_PRIOR, "trước;ở trên;bên trên;sebelumnya;di atas;nakaraan;naunang;nasa itaas"),
    (LOCAL_PRIOR, "ก่อนหน้า;ข้างต้น;ด้านบน;yaliyotangulia;ya awali"),
    (LOCAL_NOUN, "hướng dẫn;chỉ dẫn;mệnh lệnh;chỉ thị;instruksi;perintah;arahan;tagubilin"),
    (LOCAL_NOUN, "คำสั่ง;คําสั่ง;คำแนะนำ;คําแนะนํา;maagizo"),
    // Passwords, and asking for them.
    (LOCAL_PASS, "passwort;kennwort;mot de passe;contraseña;senha;palavra-passe;wachtwoord"),
    (LOCAL_PASS, "hasło;hasła;пароль;пароля;şifre*;parola*;parolanız;كلمة المرور;كلمة السر"),
    (
        LOCAL_PASS,
        "पासवर्ड;密码;密碼;口令;パスワード;비밀번호;암호는;mật khẩu;kata sandi;পাসওয়ার্ড;รหัสผ่าน",
    ),
    (LOCAL_PASS, "κωδικός;κωδικό;password mo;la password;passwordnya;секретный ключ"),
    (LOCAL_ASK, "was ist;wie lautet;nenne;nennen sie;sag mir;sagen sie mir;bestätigen;teilen"),
    (LOCAL_ASK, "brauche;schreib*;gedicht;quel est;donne-moi;donnez-moi;dis-moi;partager"),
    (LOCAL_ASK, "confirmer;écri*;poème;besoin;cuál es;dime;dame;compart*;confirm*;escrib*"),
    (LOCAL_ASK, "necesito;poema;qual é;qual è;qual e;diga;me dê;escrev*;preciso;dimmi;condivid*"),
    (LOCAL_ASK, "scriv*;bisogno;wat is;geef me;vertel;jakie jest;podaj;napisz;какой;каков;скажи"),
    (LOCAL_ASK, "сообщи;апиши;нужен;поделит;одтверд;nedir;söyle*;paylaş*;yaz;doğrula*;ما هي"),
    (LOCAL_ASK, "ما هو;أخبرني;اكتب;أحتاج;تؤكد;مشاركة;تشارك;क्या है;क्या ह;बताओ;बताइए;लिख;साझा"),
    (
        LOCAL_ASK,
        "पुष्टि;चाहिए;ज़रूरत;জানাও;বলুন;শেয়ার;লিখ;কি?;নিশ্চিত;告诉我;是什么;分享;写一首;需要;确认;教えて",
    ),
    (
        LOCAL_ASK,
        "何ですか;共有;書いて;必要;確認;알려;무엇;공유;필요;뭐;작성;확인;là gì;cho tôi biết;chia sẻ;viết;xác nhận",
    ),
    (LOCAL_ASK, "cần;apa;beri;bagikan;tulis*;membagikan;butuh;คืออะไร;บอก;แบ่งปัน;เขียน;ยืนยัน"),
    (LOCAL_ASK, "ต้องการ;ano ang;ibahagi;isulat;sumulat"),
];
