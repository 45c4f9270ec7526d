// Writes packages/search/golden/lucene.json: what Lucene 8.7 makes of a small generated corpus.
//
// Usage on Debian: apt-get install liblucene8-java openjdk-17-jdk-headless, then
//   java -cp '/usr/share/java/lucene-core-8.7.0.jar:/usr/share/java/lucene-analyzers-common-8.7.0.jar' \
//     bench/peers/SearchLucene.java > packages/search/golden/lucene.json
//
// EnglishAnalyzer and BM25Similarity(0.9, 0.4), the setting of Anserini. Lucene rounds passage lengths of 40 and more;
// the passages here are shorter, so its scores are exact up to float32.
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.en.EnglishAnalyzer;
import org.apache.lucene.analysis.tokenattributes.CharTermAttribute;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.Field;
import org.apache.lucene.document.TextField;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.Term;
import org.apache.lucene.search.BooleanClause;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.TermQuery;
import org.apache.lucene.search.similarities.BM25Similarity;
import org.apache.lucene.store.ByteBuffersDirectory;

public class SearchLucene {
  static final int PASSAGES = 240;
  static final int QUERIES = 50;
  static final int TOP_K = 10;

  // Words that exercise every rule of the stemmer, possessives, numbers, abbreviations and stop words.
  static final String[] WORDS =
      ("the of and to in was is for with by at from a an it that this they their caresses ponies ties caress cats feed agreed "
          + "plastered bled motoring sing conflated troubled sized hopping tanned falling hissing fizzed failing filing happy sky "
          + "relational conditional rational valenci hesitanci digitizer conformabli radicalli differentli vileli analogousli "
          + "vietnamization predication operator feudalism decisiveness hopefulness callousness formaliti sensitiviti sensibiliti "
          + "triplicate formative formalize electriciti electrical hopeful goodness revival allowance inference airliner "
          + "gyroscopic adjustable defensible irritant replacement adjustment dependent adoption homologou communism activate "
          + "angulariti homologous effective bowdlerize probate rate cease controll roll biology geologically archaeology "
          + "Smith's James' O'Neill's city’s don't can't U.S. U.S.A. 3.14 1,000,000 1998 2nd B-52 x86_64 naïve café Zürich "
          + "São Łódź straße ÉCOLE Москва Ελλάδα 東京 한국 snake_case e-mail foo.bar 12:30 C++ C# AT&T yes yyyy a1b2 "
          + "running runs ran runner easily dying lying generalizations oscillators universities national nationality "
          + "president election government river mountain capital population century battle treaty kingdom engine theory music")
          .split(" ");

  static String text(Random random, int length) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < length; i++) {
      double u = random.nextDouble();
      text.append(i == 0 ? "" : random.nextInt(9) == 0 ? ", " : " ");
      text.append(WORDS[(int) (WORDS.length * u * u)]);
    }
    return text.append('.').toString();
  }

  static List<String> analyze(Analyzer analyzer, String text) throws Exception {
    List<String> terms = new ArrayList<>();
    try (TokenStream stream = analyzer.tokenStream("text", text)) {
      CharTermAttribute term = stream.addAttribute(CharTermAttribute.class);
      stream.reset();
      while (stream.incrementToken()) terms.add(term.toString());
      stream.end();
    }
    return terms;
  }

  static String quote(String text) {
    StringBuilder json = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      if (c == '"' || c == '\\') json.append('\\').append(c);
      else if (c < 0x20 || c > 0x7e) json.append(String.format("\\u%04x", (int) c));
      else json.append(c);
    }
    return json.append('"').toString();
  }

  static String strings(List<String> values) {
    List<String> quoted = new ArrayList<>();
    for (String value : values) quoted.add(quote(value));
    return "[" + String.join(",", quoted) + "]";
  }

  public static void main(String[] arguments) throws Exception {
    Random random = new Random(20);
    Analyzer analyzer = new EnglishAnalyzer();
    ByteBuffersDirectory directory = new ByteBuffersDirectory();
    IndexWriterConfig config = new IndexWriterConfig(analyzer).setSimilarity(new BM25Similarity(0.9f, 0.4f));
    List<String> passages = new ArrayList<>();
    try (IndexWriter writer = new IndexWriter(directory, config)) {
      for (int i = 0; i < PASSAGES; i++) {
        String text = text(random, 3 + random.nextInt(25));
        if (analyze(analyzer, text).size() >= 40) throw new IllegalStateException("too long: " + text);
        passages.add(text);
        Document document = new Document();
        document.add(new TextField("text", text, Field.Store.NO));
        writer.addDocument(document);
      }
      writer.forceMerge(1);
    }
    List<String> queries = new ArrayList<>();
    try (DirectoryReader reader = DirectoryReader.open(directory)) {
      IndexSearcher searcher = new IndexSearcher(reader);
      searcher.setSimilarity(new BM25Similarity(0.9f, 0.4f));
      for (int q = 0; q < QUERIES; q++) {
        String query = text(random, 1 + q % 8);
        BooleanQuery.Builder builder = new BooleanQuery.Builder();
        for (String term : analyze(analyzer, query)) {
          builder.add(new TermQuery(new Term("text", term)), BooleanClause.Occur.SHOULD);
        }
        List<String> hits = new ArrayList<>();
        for (ScoreDoc hit : searcher.search(builder.build(), TOP_K).scoreDocs) {
          hits.add("[" + hit.doc + "," + hit.score + "]");
        }
        queries.add("{\"query\":" + quote(query) + ",\"hits\":[" + String.join(",", hits) + "]}");
      }
    }
    List<String> analysed = new ArrayList<>();
    for (String word : WORDS) analysed.add("[" + quote(word) + "," + strings(analyze(analyzer, word)) + "]");
    System.out.println("{\"lucene\":\"8.7.0\",\"k1\":0.9,\"b\":0.4,");
    System.out.println("\"analysis\":[" + String.join(",", analysed) + "],");
    System.out.println("\"passages\":" + strings(passages).replace("\",\"", "\",\n\"") + ",");
    System.out.println("\"queries\":[" + String.join(",\n", queries) + "]}");
  }
}
